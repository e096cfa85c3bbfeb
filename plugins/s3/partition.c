/* SPDX-License-Identifier: Apache-2.0 */
/* Source: the partitions of AWS's public endpoint metadata. */
#include "s3/partition.h"

#include <stddef.h>
#include <string.h>

const char *partition_suffix(const char *region)
{
    static const struct {
        const char *start, *suffix;
    } partitions[] = {
        {"cn-", "amazonaws.com.cn"},    {"eusc-", "amazonaws.eu"},
        {"us-isob-", "sc2s.sgov.gov"},  {"us-isof-", "csp.hci.ic.gov"},
        {"eu-isoe-", "cloud.adc-e.uk"}, {"us-iso-", "c2s.ic.gov"}};

    for (size_t i = 0; i < sizeof(partitions) / sizeof(partitions[0]); i++)
        if (strncmp(region, partitions[i].start, strlen(partitions[i].start)) ==
            0)
            return partitions[i].suffix;
    return "amazonaws.com";
}
