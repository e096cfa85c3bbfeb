// SPDX-License-Identifier: Apache-2.0
// A user's program in C++, built by installed.sh against an installation:
// saves, restores, and names every INIT macro once.
#include <persist/async.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace
{
struct destroy {
    void operator()(persist *p) const
    {
        persist_destroy(p);
    }
    void operator()(persist_store *store) const
    {
        persist_close(store);
    }
};
template <class T> using handle = std::unique_ptr<T, destroy>;

// What the macro gives for a T is a T of the size this program knows, otherwise
// empty.
template <class T> bool is_initial(const T &value)
{
    static_assert(std::is_standard_layout<T>::value, "a C struct");
    static_assert(std::is_trivial<T>::value, "a C struct");
    const auto *bytes = reinterpret_cast<const unsigned char *>(&value);
    bool empty = true;
    for (size_t i = sizeof(value.struct_size); i < sizeof(value); i++)
        empty = empty && bytes[i] == 0;
    return empty && value.struct_size == sizeof(T);
}

bool all_are_initial()
{
    const persist_options instance = PERSIST_OPTIONS_INIT;
    const persist_address address = PERSIST_ADDRESS_INIT;
    const persist_progress progress = PERSIST_PROGRESS_INIT;
    const persist_source source = PERSIST_SOURCE_INIT;
    const persist_save_options save = PERSIST_SAVE_OPTIONS_INIT;
    const persist_batch_options batch = PERSIST_BATCH_OPTIONS_INIT;
    const persist_sink sink = PERSIST_SINK_INIT;
    const persist_restore_options restore = PERSIST_RESTORE_OPTIONS_INIT;
    const persist_verify_options verify = PERSIST_VERIFY_OPTIONS_INIT;
    const persist_delete_options remove = PERSIST_DELETE_OPTIONS_INIT;
    const persist_list_options list = PERSIST_LIST_OPTIONS_INIT;
    const persist_cleanup_options cleanup = PERSIST_CLEANUP_OPTIONS_INIT;
    const persist_import_options import_ = PERSIST_IMPORT_OPTIONS_INIT;
    const persist_doctor_options doctor = PERSIST_DOCTOR_OPTIONS_INIT;
    const persist_completion done = PERSIST_COMPLETION_INIT;

    return is_initial(instance) && is_initial(address) &&
           is_initial(progress) && is_initial(source) && is_initial(save) &&
           is_initial(batch) && is_initial(sink) && is_initial(restore) &&
           is_initial(verify) && is_initial(remove) && is_initial(list) &&
           is_initial(cleanup) && is_initial(import_) && is_initial(doctor) &&
           is_initial(done);
}

int append(void *ctx, const void *data, size_t len, persist_error * /*err*/)
{
    static_cast<std::string *>(ctx)->append(static_cast<const char *>(data),
                                            len);
    return PERSIST_OK;
}

int run(persist_store *store, persist_error *err)
{
    const std::string payload = "from C++";
    std::vector<persist_batch_item> items(2, PERSIST_BATCH_ITEM_INIT);
    std::string restored;
    persist_sink sink = PERSIST_SINK_INIT;

    for (auto &item : items) {
        item.address = "consumer";
        item.data = payload.data();
        item.len = payload.size();
    }
    sink.write = append;
    sink.ctx = &restored;
    int rc =
        persist_save_batch(store, items.data(), items.size(), nullptr, err);
    persist_batch_finish(items.data(), items.size());
    if (rc == PERSIST_OK)
        rc = persist_restore(store, "consumer@1", &sink, nullptr, nullptr, err);
    if (rc == PERSIST_OK && restored != payload) {
        std::fprintf(stderr, "consumer: restored \"%s\"\n", restored.c_str());
        std::exit(1);
    }
    return rc;
}
} // namespace

int main()
{
    persist_error err;
    persist *instance = nullptr;
    persist_store *opened = nullptr;

    if (!all_are_initial()) {
        std::fprintf(stderr, "consumer: an INIT macro gives something else\n");
        return 1;
    }
    int rc = persist_create(nullptr, &instance, &err);
    const handle<persist> p(instance);
    if (rc == PERSIST_OK)
        rc = persist_open(p.get(), nullptr, &opened, &err);
    const handle<persist_store> store(opened);
    if (rc == PERSIST_OK)
        rc = run(store.get(), &err);
    if (rc != PERSIST_OK)
        std::fprintf(stderr, "consumer: %s\n", err.message);
    return rc == PERSIST_OK ? 0 : 1;
}
