# Public headers of another version: every public struct has grown by a member.
# What format/ shares with the engine (struct persist_metadata) stays.
set(grown_include "${CMAKE_CURRENT_BINARY_DIR}/grown")
foreach(header persist.h async.h)
  set(path "${PROJECT_SOURCE_DIR}/core/include/persist/${header}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${path}")
  file(READ "${path}" text)
  string(REGEX REPLACE
    "(struct (persist_[a-z_]+) {\n    uint32_t struct_size;[^}]*)(\n};)"
    "\\1\n    uint64_t grown[2];\\3" text "${text}")
  string(REGEX REPLACE
    "(struct persist_metadata {[^}]*)\n    uint64_t grown\\[2\\];" "\\1"
    text "${text}")
  file(CONFIGURE OUTPUT "${grown_include}/persist/${header}"
    CONTENT "${text}" @ONLY)
endforeach()

# grown_past: an old program with a new library; grown_future: the opposite.
persist_room(engine_grown SOURCES ${sources}
  ROOMS format transfer runtime backend services posix util
  LIBS Threads::Threads)
target_include_directories(persist_engine_grown BEFORE PRIVATE
  "${grown_include}")
persist_unit_test(engine grown_past SOURCES grown_test.c
  LIBS persist_engine_grown Threads::Threads)
persist_unit_test(engine grown_future SOURCES grown_test.c
  LIBS persist_engine Threads::Threads)
target_include_directories(test_engine_grown_future BEFORE PRIVATE
  "${grown_include}")
target_compile_definitions(test_engine_grown_future PRIVATE GROWN)
foreach(program grown_past grown_future)
  add_dependencies(test_engine_${program} persist_backend_memory)
endforeach()
