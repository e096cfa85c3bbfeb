# SPDX-License-Identifier: 0BSD
# Builds a backend as the loader wants it.  Needs the target Persist::Backend.
#
#   persist_add_backend(NAME SOURCES file... [LIBS target...])
#
# Makes the module target persist_backend_NAME, file NAME.so: it exports
# persist_backend_entry_v1 and nothing else, resolves every symbol at link time,
# is bound at load time, and stays loaded.
include_guard(GLOBAL)

function(persist_add_backend name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  if(NOT name MATCHES "^[a-z0-9-]+$")
    message(FATAL_ERROR
      "persist_add_backend: the name '${name}' is not [a-z0-9-]{1,32}")
  endif()
  if(NOT arg_SOURCES OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR
      "persist_add_backend(NAME SOURCES file... [LIBS target...])")
  endif()
  set(target persist_backend_${name})
  if(APPLE)
    set(exports "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/backend.exp")
  else()
    set(exports "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/backend.map")
  endif()
  add_library(${target} MODULE ${arg_SOURCES})
  set_target_properties(${target} PROPERTIES
    PREFIX "" OUTPUT_NAME "${name}" SUFFIX ".so"
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON
    LINK_DEPENDS "${exports}")
  target_link_libraries(${target} PRIVATE Persist::Backend ${arg_LIBS})
  if(APPLE) # refuses undefined symbols by itself
    target_link_options(${target} PRIVATE
      "LINKER:-exported_symbols_list,${exports}")
    return()
  endif()
  target_link_options(${target} PRIVATE
    "LINKER:--version-script=${exports}"
    LINKER:-z,now LINKER:-z,relro LINKER:-z,nodelete)
  # clang's sanitizer runtimes live in the program: undefined by design.
  if(NOT (PERSIST_SANITIZE AND CMAKE_C_COMPILER_ID MATCHES "Clang"))
    target_link_options(${target} PRIVATE LINKER:-z,defs)
  endif()
endfunction()
