/* SPDX-License-Identifier: Apache-2.0 */
/* The partitions of AWS: what the hosts of a region end in. */
#ifndef PERSIST_S3_PARTITION_H
#define PERSIST_S3_PARTITION_H

/* "amazonaws.com", "amazonaws.com.cn", ...; a static text.  Regions that are
 * not known belong to the first. */
const char *partition_suffix(const char *region);

#endif
