/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing without waiting: the rows of a blocking listing, copied.
 *
 * Each row is one allocation of its own inside a block that the completion
 * frees; the listing itself ends on the executor's thread.  How much they are
 * decides who saved the snapshots, so there is a ceiling.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/queue.h"
#include "format/metadata.h"
#include "util/error.h"
#include "util/text.h"

enum { ROWS_DEFAULT = 1000, ROWS_MAX = 10000 };

void rows_free(struct rows *rows)
{
    if (!rows)
        return;
    for (size_t i = 0; i < rows->n; i++) {
        free((void *)rows->entries[i].agent);
        free((void *)rows->entries[i].session);
        persist_metadata_free(
            (struct persist_metadata *)rows->entries[i].metadata);
    }
    free(rows);
}

/* A row that owns what it points to; false: no memory. */
static bool copy_row(struct persist_entry *to, const struct persist_entry *from)
{
    *to = *from;
    to->agent = text_dup(from->agent);
    to->session = text_dup(from->session);
    to->metadata = from->metadata ? metadata_copy(from->metadata) : NULL;
    return to->agent && (to->session || !from->session) &&
           (to->metadata || !from->metadata);
}

static struct rows *rows_grow(struct rows *rows, size_t cap)
{
    return realloc(rows, sizeof *rows + cap * sizeof(struct persist_entry));
}

static uint64_t memory_of(const struct persist_entry *e)
{
    return sizeof *e + strlen(e->agent) +
           (e->session ? strlen(e->session) : 0) +
           (e->metadata ? metadata_memory(e->metadata) : 0);
}

static int too_much(uint64_t max, struct persist_error *err)
{
    error_set(err, PERSIST_E_MEMORY,
              "the rows of the listing take more than the memory limit of "
              "%" PRIu64 " bytes",
              max);
    error_hint(err, "ask for fewer rows, or without LONG");
    return PERSIST_E_MEMORY;
}

static int collect(struct persist_listing *listing, uint64_t max,
                   struct rows **rows, struct persist_error *err)
{
    const struct persist_entry *entry;
    uint64_t bytes = 0;
    size_t cap = 0;
    int rc;

    while ((rc = persist_listing_next(listing, &entry, err)) == 1) {
        size_t n = *rows ? (*rows)->n : 0;

        bytes += memory_of(entry);
        if (bytes > max)
            return too_much(max, err);
        if (n == cap) {
            struct rows *grown = rows_grow(*rows, cap = cap ? 2 * cap : 16);

            if (!grown)
                return error_memory(err);
            grown->n = n;
            *rows = grown;
        }
        (*rows)->n++; /* a half copied row is freed like a whole one */
        if (!copy_row(&(*rows)->entries[n], entry))
            return error_memory(err);
    }
    return rc;
}

static void list(struct job *j, struct persist_error *err)
{
    struct persist_listing *listing = NULL;
    struct rows *rows = NULL;
    int rc = persist_list(j->store, j->address, &j->o.list, &listing, err);

    if (!rc)
        rc = collect(listing, budget_limit(j->store->p->budget), &rows, err);
    persist_listing_close(listing);
    if (rc) {
        rows_free(rows);
        rows = NULL;
    }
    j->result.status = rc;
    j->result.reserved = rows;
    if (rows) {
        j->result.rows.entries = rows->entries;
        j->result.rows.n_entries = rows->n;
    }
}

int persist_list_async(struct persist_store *store, const char *address,
                       const struct persist_list_options *options,
                       struct persist_queue *queue, void *user,
                       struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, address, queue, user, err ? err : (err = &own));
    int rc;

    if (!j)
        return err->status;
    rc = engine_options(&j->o.list, sizeof j->o.list, options, err);
    if (!rc && j->o.list.limit > ROWS_MAX)
        rc = error_set(err, PERSIST_E_INVALID,
                       "a listing gives at most %d rows in one completion",
                       ROWS_MAX);
    j->o.list.struct_size = sizeof j->o.list;
    if (!j->o.list.limit)
        j->o.list.limit = ROWS_DEFAULT;
    j->timeout_ms = &j->o.list.timeout_ms;
    return job_submit(j, rc, &j->o.list.op, PERSIST_OP_LIST, list, err);
}
