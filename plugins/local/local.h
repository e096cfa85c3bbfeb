/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local backend: objects are files of a directory, the root.
 *
 *     local.c      descriptor and ops table; open, close, limits
 *     options.c    what a user may set
 *     root.c       the root directory's descriptor; makes it where asked to
 *     dirs.c       folders below it, and which of them are known to be synced;
 *                  dirsync.c: one sync of a folder for many; syncgroup.c: the
 *                  syncs of a store set out together
 *     key.c        what a key may look like
 *     put.c, put_many.c      one buffer, many buffers
 *     upload.c     parts and commits; uploads.c: the table of those under way;
 *                  receipts.c: what a commit must prove; writeback.c: how much
 *                  of an upload may be dirty; crc.c: checksums of pieces
 *     read.c       read, head, delete
 *     list.c       keys in order; walk.c: the tree in that order; folder.c: one
 *                  folder's names, sorted
 *     leftovers.c  temporaries of writes that died
 *     probe.c      what a person wants to know
 *     status.c     errno to code and message
 *
 * The protocol of a write is core/posix/durable.h, the walk below the root
 * core/posix/confine.h.  Names that start with a dot are the backend's own.
 * Threads: everything here may be called by several at once.
 */
#ifndef PERSIST_LOCAL_H
#define PERSIST_LOCAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <persist/backend.h>

#include "posix/direct.h"
#include "posix/durable.h"

#define LOCAL_KEY_MAX 3900 /* PATH_MAX less a temporary's name */
#define LOCAL_KEY_CAP (LOCAL_KEY_MAX + 1)
#define LOCAL_PROBE_KEY ".persist-probe"
/* How often an op starts again when a folder vanishes under it. */
#define LOCAL_VANISH_TRIES 16
/* Long reads and writes look up from work this often. */
#define LOCAL_SLICE ((size_t)4 << 20)

/* Sessions that are written in turn, each with a folder, and each of which
 * costs a descriptor; a folder that is forgotten costs its parents' syncs
 * again. */
#define LOCAL_KNOWN_DIRS 128

/*
 * The syncs of one store.  A journal commits in one go what stands in it when a
 * sync comes, and every sync makes it begin: writers who come one by one make
 * it commit for each few of them.  So they set out together:
 *
 *      A  write ─ sync ══════════╗ link ─ sync of the folder ...
 *      B      write ─ wait ──────╟───────╫ sync ═══════╗ link ...
 *      C            write ─ wait ╟───────╫ sync ═══════╣ link ...
 *
 * Who wants to sync waits until those who are out have returned, and those who
 * have announced that they come are here: the links of those who have just
 * returned, mostly.  Before that he begins to write his bytes back, and who
 * lets the others go first waits until the bytes of all are written, so that
 * their blocks are in the journal when the first sync makes it commit; alone he
 * does neither.  This is about time only: everybody syncs his own file or
 * folder, and nobody waits four times as long as the last syncs took, or 20 ms,
 * for others to come or to return.
 *
 * A disk can make a call wait for ever.  Whose file somebody has in hand then
 * waits with him; whoever else is in line leaves it when his own call is to
 * stop.
 */
struct syncgroup {
    pthread_mutex_t lock;
    pthread_cond_t departed; /* for the first in line */
    bool watched;            /* lock; there is a first in line */
    bool due;                /* lock; he is to let all go */
    bool settling;           /* lock; somebody waits for the bytes of all */
    unsigned n_waiting;      /* lock; behind the first */
    unsigned n_coming;       /* lock; announced, and neither here nor back */
    unsigned n_out;          /* lock; in a sync */
    struct syncgroup_file *files; /* lock; in line, bytes not waited for yet */
    atomic_uint n_departures; /* changed under lock; the others park at it */
    uint64_t began_ns;        /* lock; the syncs of those who are out */
    uint64_t took_ns;         /* lock; the last ones */
};

/* Larger files are not synced in a group: others would wait for them. */
#define SYNCGROUP_SIZE_MAX ((uint64_t)1 << 20)

/*
 * The syncs of one folder.  A name is on the medium after any sync that began
 * behind its link, so that many writers need few:
 *
 *      A  link ─ sync 1 ═════════╗ acknowledge
 *      B     link ─ wait ────────╟─ sync 2 ═══════╗ acknowledge
 *      C         link ─ wait ────╫────────────────╢ acknowledge
 *      D              link ─ wait╫────────────────╢ acknowledge
 *
 * B, C and D came while sync 1 was under way, which may have looked at the
 * folder before their names were there: they wait for sync 2, and the first of
 * them makes it, setting out with the syncs of other files and folders.
 *
 * All syncs of a folder go through one descriptor, opened before any of the
 * members linked: the kernel tells a lost write to every descriptor that was
 * open then, once, and to none that was opened later.  A sync that failed is
 * never repeated on it: whoever waits, or has linked by it and comes later, is
 * told that his name is not durable; who comes anew opens another.
 *
 * Where a sync does not end, those behind it leave when their calls are to
 * stop: their names are visible, and not known to be durable.  A leader who
 * leaves has a successor among those who wait for him.  The folder is not given
 * up, so that whoever comes waits behind that sync, not in one of his own.
 */
struct dirsync {
    pthread_mutex_t lock;
    unsigned group;        /* lock; who comes now is of this one */
    bool led;              /* lock; by who came first, or his successor */
    bool followed;         /* lock; others of the group wait for him */
    bool awaited;          /* lock; by a leader whose turn is next */
    int failed;            /* lock; -errno of the sync that went wrong; stays */
    unsigned failed_group; /* lock; it and all later ones */
    unsigned n_came;       /* lock; for tests: how many in all */
    /* One more than the last group that is over, of the even and of the odd
     * ones; their members park at it, and who leads the next one. */
    atomic_uint over[2];
};

/* A folder whose name, and those of all above it, are on the medium, shared by
 * all who write into it.  The open descriptor keeps its inode number from being
 * given to another. */
struct local_dir {
    char *path;
    int fd; /* can be linked into and synced; borrowed by those with a ref */
    dev_t dev;
    ino_t ino;
    unsigned refs;       /* dirs_lock; one is the table's */
    uint64_t used;       /* dirs_lock; by local_store.dirs_clock */
    atomic_bool unnamed; /* a temporary in it has no name that anybody sees */
    /* When the last walk began that led to it (monotonic). */
    atomic_uint_fast64_t found_ns;
    struct dirsync sync;
};

struct local_upload;

struct local_store {
    const struct persist_backend_host *host;
    void *host_store;
    char *root_path; /* absolute */
    mode_t dir_mode;
    mode_t file_mode;
    bool create;

    pthread_mutex_t root_lock;
    int root_fd;       /* root_lock; -1 until it is needed */
    bool root_settled; /* root_lock; its own name is on the medium */

    pthread_mutex_t dirs_lock;
    uint64_t dirs_clock;                       /* dirs_lock */
    struct local_dir *known[LOCAL_KNOWN_DIRS]; /* dirs_lock; NULL: free */

    struct syncgroup group;

    pthread_mutex_t uploads_lock;
    struct local_upload *uploads; /* uploads_lock */
    uint64_t next_upload;         /* uploads_lock */
    uint64_t nonce;               /* of this opened store, in upload ids */

    /* For tests: what listings cost. */
    atomic_uint_fast64_t n_dirs_opened;
    atomic_uint_fast64_t n_entries_read;
};

/* ------------------------------------------------------------- options.c */

#define LOCAL_N_OPTIONS 4
extern const struct persist_backend_option local_options[LOCAL_N_OPTIONS];
int32_t options_apply(struct local_store *s,
                      const struct persist_backend_config *config,
                      struct persist_backend_error *err);

/* -------------------------------------------------------------- status.c */

/* Sets status and message (printf); returns status. */
int32_t status_set(struct persist_backend_error *err, int32_t status,
                   const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The code for an errno value (positive), with "cannot WHAT KEY: text". */
int32_t status_errno(struct persist_backend_error *err, int error,
                     const char *what, const char *key);
/* The same with the whole path of the key, for people: what a system refuses
 * depends on the folders above the store too. key may be "". */
int32_t status_key(const struct local_store *s,
                   struct persist_backend_error *err, int error,
                   const char *what, const char *key);
#if defined(__clang_analyzer__) && !defined(LOCAL_STATUS_C)
/* The analyzer does not see into status.c and would believe in OK. */
static inline void analyzed_note(void *err, const char *format, ...)
{
    (void)err;
    (void)format;
}
static inline int32_t analyzed_status(int32_t status)
{
    return status;
}
#define status_set(err, status, ...)                                           \
    (analyzed_note(err, __VA_ARGS__), analyzed_status(status))
#define status_errno(err, error, what, key)                                    \
    (analyzed_note(err, what, key),                                            \
     analyzed_status((error) ? PERSIST_BACKEND_IO : PERSIST_BACKEND_INTERNAL))
#define status_key(s, err, error, what, key)                                   \
    ((void)(s), status_errno(err, error, what, key))
#endif

int32_t status_of_errno(int error);
/*
 * What became of a walk along `path` that answered -error: absent where there
 * is no such object (or a file where the key wants a folder), CORRUPT where a
 * link or special file stands in the way, CONFIG where the root itself has been
 * removed, else as status_key.
 */
int32_t status_walk(struct local_store *s, struct persist_backend_error *err,
                    int error, const char *what, const char *path,
                    int32_t absent);
/* CANCELLED or TIMEOUT where the call is to stop. */
int32_t status_check(const struct local_store *s,
                     const struct persist_backend_call *call,
                     struct persist_backend_error *err);

/* Who waits for others, on behalf of a call.  He looks up now and then. */
struct local_waiter {
    const struct local_store *store;
    const struct persist_backend_call *call;
    bool linked;      /* his object has its name */
    int32_t stop;     /* why the call is to stop, as soon as he knows */
    uint64_t late_ns; /* linked: since when he knows; 0: he does not */
};
#define WAITER_LOOKS_NS UINT64_C(50000000)
/* Who has linked waits so much longer: a moment later it may be durable. */
#define WAITER_GRACE_NS UINT64_C(1000000000)
/* What those answer who have left for waiter_is_late, beside -errno. */
#define WAITER_LEFT 1
/* Whether the call is to stop. */
bool waiter_is_late(struct local_waiter *w);
/* As status_check, of one who was late. */
int32_t status_late(const struct local_waiter *w,
                    struct persist_backend_error *err);

/* ---------------------------------------------------------------- root.c */

/*
 * The root's descriptor, borrowed for the life of the store.  A missing root is
 * CONFIG; but where it would be created, it is made for a write, and NOT_FOUND
 * for anything else: nothing has been saved yet.
 */
int32_t root_get(struct local_store *s, bool for_write, int *out_fd,
                 struct persist_backend_error *err);
/* Whether the opened root has been removed since. */
bool root_is_gone(struct local_store *s);
void root_close(struct local_store *s);

/* ---------------------------------------------------- dirs.c, dirsync.c */

/* The folder for writing, made where it is missing, every name on the way to it
 * synced; *out is given back with dirs_release. 0 or -errno. Steady state:
 * openat2, fstat, close. */
int dirs_open(struct local_store *s, int root_fd, const char *folder,
              struct local_dir **out);
/* The folder that was last at this path, with a reference, or NULL: for an
 * unnamed temporary, until dirs_find. */
struct local_dir *dirs_known(struct local_store *s, const char *folder);
/* Whether d is at its path: 0 where somebody's walk led to it that began at
 * since_ns (os_monotonic_ns) or later, else by a walk of our own; -ENOENT where
 * something else is there, or -errno. */
int dirs_find(struct local_dir *d, int root_fd, uint64_t since_ns);
void dirs_release(struct local_store *s, struct local_dir *d); /* NULL: fine */
void dirs_finish(struct local_store *s);
/* Who opens the folder from now on gets another handle. */
void dirs_forget(struct local_store *s, struct local_dir *d);

/* Every name linked into the folder by this handle before the call is on the
 * medium: by a sync of our own or one that we shared.  0; -errno or
 * WAITER_LEFT: not known to be.  Announced to the store's group before. */
int dirs_sync(struct local_store *s, struct local_waiter *waiter,
              struct local_dir *d);

int dirsync_init(struct dirsync *d); /* 0 or -errno */
void dirsync_finish(struct dirsync *d);

/* ----------------------------------------------------------- syncgroup.c */

int syncgroup_init(struct syncgroup *g); /* 0 or -errno */
void syncgroup_finish(struct syncgroup *g);
/* A small sync is near.  Then syncgroup_set_out, or syncgroup_withdraw where
 * there will be none. */
void syncgroup_announce(struct syncgroup *g);
void syncgroup_withdraw(struct syncgroup *g);
/* Whether anybody else is near or out, who could be waited for. */
bool syncgroup_has_company(struct syncgroup *g);
/* Returns when it is time to sync a folder (w is NULL), or a file of `size`
 * bytes.  0, or -errno of their write-back, which fails the write for good: out
 * he is in either case.  WAITER_LEFT: he is not, and announced as before. */
int syncgroup_set_out(struct syncgroup *g, struct local_waiter *waiter,
                      struct durable_write *w, uint64_t size);
/* The sync is over; comes_again: and the next is announced. */
void syncgroup_return(struct syncgroup *g, bool comes_again);

/* ----------------------------------------------------------------- key.c */

int32_t key_check(const char *key, struct persist_backend_error *err);
/* A prefix of keys: may end in the middle of a name. */
int32_t key_check_prefix(const char *prefix, struct persist_backend_error *err);
/* A name that can be a component of a key. */
bool key_name_ok(const char *name);
/* The key's folder ("" for none) without the slash; returns its last name. */
const char *key_split(const char *key, char folder[LOCAL_KEY_CAP]);

/* ------------------------------------------------------------ read.c, put.c */

void etag_format(const struct stat *st, char out[PERSIST_BACKEND_ETAG_MAX]);
int64_t modified_us(const struct stat *st);
/* OK, NOT_FOUND, or why what stands at the name in dir_fd is no object. */
int32_t object_check(int dir_fd, const char *name, const char *key,
                     struct persist_backend_error *err);
/* Given bytes against the checksum given with them. */
int32_t data_check(const struct local_store *s, const void *data, uint64_t len,
                   bool has_crc, uint32_t crc,
                   struct persist_backend_error *err);
/* What written bytes are to become. */
struct local_object {
    const char *key;
    struct local_dir *dir; /* that of the write */
    uint64_t since_ns;     /* not 0: dir is to be found before the link, by a
                              walk that began then or later */
    uint64_t size;         /* bytes */
    uint32_t flags;        /* PERSIST_BACKEND_IF_ABSENT */
};
/* Whether its sync goes with others: then it is announced to the store's group
 * before object_commit, at best before anything is written. */
bool object_is_near(const struct durable_write *w, uint64_t size);
/*
 * From written bytes to an object: sync, look whether the call is to stop,
 * publish, sync the folder.  *out_vanished: the folder was removed meanwhile.
 */
int32_t object_commit(struct local_store *s,
                      const struct persist_backend_call *call,
                      struct durable_write *w,
                      const struct local_object *object, bool *out_vanished,
                      struct persist_backend_error *err);
/* The key's folder for writing, made where it is missing; given back with
 * dirs_release. */
int32_t folder_for(struct local_store *s, const char *key,
                   struct local_dir **out, struct persist_backend_error *err);
/* One whole put; etag may be NULL. */
int32_t put_object(struct local_store *s,
                   const struct persist_backend_call *call,
                   const struct persist_backend_put_args *args, char *etag,
                   struct persist_backend_error *err);

/* -------------------------------------------------------------- folder.c */

enum folder_kind { FOLDER_FILE, FOLDER_DIR };

struct folder_entry {
    const char *name;
    size_t at; /* in names, while these may still move */
    enum folder_kind kind;
};

/* One folder's names: 24 bytes an entry and the names, nothing else. */
struct folder {
    struct folder_entry *entries;
    size_t n, entries_cap;
    char *names;
    size_t names_len, names_cap;
};

/* Whether an entry is wanted; kind as the directory tells it. */
typedef bool (*folder_filter_fn)(void *ctx, const char *name,
                                 enum folder_kind kind);

/*
 * Reads the directory dir_fd (borrowed) and keeps what filter wants: regular
 * files and folders only, links and special files never.  Sorted as keys sort.
 * 0, -errno, or -ECANCELED where status_check stopped it.
 */
int folder_read(struct folder *f, struct local_store *s,
                const struct persist_backend_call *call, int dir_fd,
                folder_filter_fn filter, void *ctx);
void folder_finish(struct folder *f, struct local_store *s);
/* What an entry of readdir's type is, looked up where the file system does not
 * say. False: neither a regular file nor a folder, or gone. */
bool folder_kind_of(int dir_fd, const char *name, unsigned char type,
                    enum folder_kind *out);

/* ---------------------------------------------------------------- walk.c */

#define WALK_STOP 1 /* a visitor has seen enough */

/*
 * Visits what lies below the root in the order of keys.  Each visit gets the
 * whole path, in a buffer that is the walk's, and answers 0 to go on, WALK_STOP
 * or a status.
 */
struct walk_visitor {
    /* Which files are visited; folders that can be part of a key always. */
    bool (*wants)(const char *name);
    int32_t (*file)(void *ctx, int dir_fd, const char *name, const char *path);
    /* NULL: folders are entered; else visited, their path ending in a slash. */
    int32_t (*folder)(void *ctx, const char *path);
};
/* Paths that start with prefix and are greater than start_after.  Nothing there
 * is OK. What vanishes meanwhile is passed over. */
int32_t walk_tree(struct local_store *s,
                  const struct persist_backend_call *call, const char *prefix,
                  const char *start_after, const struct walk_visitor *visitor,
                  void *ctx, struct persist_backend_error *err);

/* ------------------- uploads.c, writeback.c, flusher.c, receipts.c */

/* How much of an upload may be written and not yet on its way to the disk. */
#define WRITEBACK_MAX ((uint64_t)64 << 20)
#define WRITEBACK_SLOTS 64

/* How much of it may be written and not yet on the medium, about. */
#define FLUSH_STEP ((uint64_t)32 << 20)

struct flusher {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool running;     /* lock: thread is to be joined */
    bool stop;        /* lock */
    uint64_t waiting; /* lock: bytes written since the last flush began */
    struct durable_write *w; /* set before the thread starts */
};

int flusher_init(struct flusher *f);
void flusher_finish(struct flusher *f); /* stops it */
/* len bytes of w have been written.  Before flusher_stop. */
void flusher_count(struct flusher *f, struct durable_write *w, size_t len);
/* No flush runs afterwards, and none will. */
void flusher_stop(struct flusher *f);

struct writeback_range {
    uint64_t offset, len;
};

struct writeback {
    struct direct_file direct; /* set before the first write; fd -1: none */
    struct flusher flusher;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t dirty;                                 /* lock */
    unsigned first, n;                              /* lock */
    struct writeback_range ranges[WRITEBACK_SLOTS]; /* lock; oldest at first */
};

int writeback_init(struct writeback *b);
/* Before the write it served is discarded. */
void writeback_finish(struct writeback *b);
/* Writes up to LOCAL_SLICE bytes; waits for older ones where too much is
 * dirty. 0 or -errno. */
int writeback_write(struct writeback *b, struct durable_write *w,
                    const void *data, size_t len, uint64_t offset);

struct local_upload {
    struct local_upload *next; /* uploads_lock */
    unsigned refs;             /* uploads_lock */
    bool listed;               /* uploads_lock: in the table */
    uint64_t number;
    char *key;
    struct local_dir *dir; /* with a reference */
    struct durable_write w;
    struct writeback writeback;
};

/* Takes over u with one reference for the table; writes its id. */
void uploads_add(struct local_store *s, struct local_upload *u,
                 char id[PERSIST_BACKEND_UPLOAD_ID_MAX]);
/* With a reference; NULL where it is over, or another process's. INVALID is
 * told apart by uploads_id_ok. */
struct local_upload *uploads_find(struct local_store *s, const char *id);
bool uploads_id_ok(const char *id);
void uploads_release(struct local_store *s, struct local_upload *u);
/* Out of the table: whoever holds the last reference discards it. */
void uploads_remove(struct local_store *s, struct local_upload *u);
void uploads_finish(struct local_store *s);
/* One that is in no table. */
void uploads_destroy(struct local_store *s, struct local_upload *u);

/* "Written by this upload: len bytes at offset, of this checksum." */
#define RECEIPT_LEN 40
void receipt_make(const struct local_store *s, const struct local_upload *u,
                  const struct persist_backend_part_args *part, uint32_t crc,
                  uint8_t out[RECEIPT_LEN]);
/* Every byte from 0 to the size was written by this upload, once. */
int32_t receipts_check(const struct local_store *s,
                       const struct local_upload *u,
                       const struct persist_backend_commit_args *args,
                       uint64_t *out_size, struct persist_backend_error *err);

/* CRC-32C of two pieces, one behind the other. */
uint32_t crc_combine(uint32_t first, uint32_t second, uint64_t second_len);

/* ---------------------------------------------------------- leftovers.c */

#define LEFTOVER_ID "tmp:"
bool leftover_id_ok(const char *id);
int32_t leftover_remove(struct local_store *s, const char *id,
                        struct persist_backend_error *err);

/* ------------------------------------------------------------------- ops */

int32_t local_put(void *store, const struct persist_backend_call *call,
                  const struct persist_backend_put_args *args,
                  struct persist_backend_put_result *result,
                  struct persist_backend_error *err);
int32_t local_put_many(void *store, const struct persist_backend_call *call,
                       const struct persist_backend_put_many_args *args,
                       struct persist_backend_put_many_result *result,
                       struct persist_backend_error *err);
int32_t local_upload_begin(void *store, const struct persist_backend_call *call,
                           const struct persist_backend_begin_args *args,
                           struct persist_backend_begin_result *result,
                           struct persist_backend_error *err);
int32_t local_upload_part(void *store, const struct persist_backend_call *call,
                          const struct persist_backend_part_args *args,
                          struct persist_backend_part_result *result,
                          struct persist_backend_error *err);
int32_t local_upload_commit(void *store,
                            const struct persist_backend_call *call,
                            const struct persist_backend_commit_args *args,
                            struct persist_backend_commit_result *result,
                            struct persist_backend_error *err);
int32_t local_upload_abort(void *store, const struct persist_backend_call *call,
                           const struct persist_backend_abort_args *args,
                           struct persist_backend_error *err);
int32_t local_read(void *store, const struct persist_backend_call *call,
                   const struct persist_backend_read_args *args,
                   struct persist_backend_read_result *result,
                   struct persist_backend_error *err);
int32_t local_head(void *store, const struct persist_backend_call *call,
                   const struct persist_backend_head_args *args,
                   struct persist_backend_head_result *result,
                   struct persist_backend_error *err);
int32_t local_delete(void *store, const struct persist_backend_call *call,
                     const struct persist_backend_delete_args *args,
                     struct persist_backend_delete_result *result,
                     struct persist_backend_error *err);
int32_t local_list(void *store, const struct persist_backend_call *call,
                   const struct persist_backend_list_args *args,
                   struct persist_backend_list_result *result,
                   struct persist_backend_error *err);
int32_t local_list_uploads(void *store, const struct persist_backend_call *call,
                           const struct persist_backend_list_uploads_args *args,
                           struct persist_backend_list_uploads_result *result,
                           struct persist_backend_error *err);
int32_t local_probe(void *store, const struct persist_backend_call *call,
                    const struct persist_backend_probe_args *args,
                    struct persist_backend_probe_result *result,
                    struct persist_backend_error *err);

#endif
