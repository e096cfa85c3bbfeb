/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canned pages of ListObjectsV2 for http-sink: one session with so many
 * snapshots, newest first, whatever the session's name.  Entries are made
 * before the first request, so that a page costs the sink a copy.
 */
#ifndef PERSIST_BENCH_HTTP_SINK_PAGES_H
#define PERSIST_BENCH_HTTP_SINK_PAGES_H

/* Before all else; ends the process where there is no memory. */
void pages_make(unsigned keys);

/* The document for a request: `head` from its method on, with prefix,
 * start-after or continuation-token, and max-keys (1,000 at the most). The
 * caller frees; NULL: no memory. */
char *pages_answer(const char *head);

#endif
