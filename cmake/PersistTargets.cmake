# persist_flags: the language level, warnings and instrumentation of every
# target.  persist_room: one room of core/ as a static library.
# persist_unit_test: one test program.  persist_wrap: functions of the C library
# that a test stands in for.

add_library(persist_flags INTERFACE)
target_compile_features(persist_flags INTERFACE c_std_11)
target_compile_definitions(persist_flags INTERFACE
  _GNU_SOURCE _FILE_OFFSET_BITS=64 _TIME_BITS=64
  $<$<BOOL:${PERSIST_ASYNC}>:PERSIST_ASYNC>
  $<$<BOOL:${PERSIST_METRICS}>:PERSIST_METRICS>
  $<$<BOOL:${PERSIST_PORTABLE}>:PERSIST_PORTABLE>
  $<$<STREQUAL:${PERSIST_DEFLATE},isal>:PERSIST_ISAL>)
target_compile_options(persist_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wwrite-strings -Wvla -fno-common
  $<$<BOOL:${PERSIST_WERROR}>:-Werror>
  # A guess about forgotten commas, wrong about every list of long texts.
  $<$<C_COMPILER_ID:Clang>:-Wno-string-concatenation>)
if(NOT APPLE AND NOT WIN32)
  target_link_options(persist_flags INTERFACE LINKER:-z,relro LINKER:-z,now)
endif()

if(PERSIST_SANITIZE)
  target_compile_options(persist_flags INTERFACE
    -fsanitize=${PERSIST_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(persist_flags INTERFACE -fsanitize=${PERSIST_SANITIZE})
endif()
if(PERSIST_COVERAGE)
  target_compile_options(persist_flags INTERFACE --coverage -O0
    -fprofile-update=atomic)
  target_link_options(persist_flags INTERFACE --coverage)
endif()

# printf as C99 has it; Microsoft's differs.
if(WIN32)
  target_compile_definitions(persist_flags INTERFACE __USE_MINGW_ANSI_STDIO=1)
endif()
# macOS keeps these of its own behind _GNU_SOURCE's counterpart.
if(APPLE)
  target_compile_definitions(persist_flags INTERFACE _DARWIN_C_SOURCE)
endif()

# persist_room(NAME SOURCES ... [ROOMS ...] [LIBS ...])
# A room sees its own and the public headers, and core/ as include root.
function(persist_room name)
  cmake_parse_arguments(arg "" "" "SOURCES;ROOMS;LIBS" ${ARGN})
  add_library(persist_${name} STATIC ${arg_SOURCES})
  set_target_properties(persist_${name} PROPERTIES
    POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden C_EXTENSIONS OFF)
  target_include_directories(persist_${name} PUBLIC
    "${PROJECT_SOURCE_DIR}/core"
    "${PROJECT_SOURCE_DIR}/core/include"
    "${PROJECT_BINARY_DIR}/include"
    "${PROJECT_SOURCE_DIR}/sdk/include")
  target_link_libraries(persist_${name} PUBLIC persist_flags)
  foreach(room IN LISTS arg_ROOMS)
    target_link_libraries(persist_${name} PUBLIC persist_${room})
  endforeach()
  target_link_libraries(persist_${name} PRIVATE ${arg_LIBS})
endfunction()

# persist_test_timeout(TEST SECONDS)
# As many, times PERSIST_TEST_PATIENCE.
function(persist_test_timeout test seconds)
  math(EXPR seconds "${seconds} * ${PERSIST_TEST_PATIENCE}")
  set_tests_properties(${test} PROPERTIES TIMEOUT ${seconds})
endfunction()

# persist_test_place(TEST WAITS)
# ctest is given two places for each processor: a test takes both, one that
# mostly waits takes one.
function(persist_test_place test waits)
  set(places 2)
  if(waits)
    set(places 1)
  endif()
  set_tests_properties(${test} PROPERTIES PROCESSORS ${places})
endfunction()

# persist_unit_test(AREA MODULE SOURCES ... [LIBS ...] [LABELS ...] [TIMEOUT s])
# ctest name AREA.MODULE.  PERSIST_TEST_STRIDE: a test that goes through every
# byte looks at each; under a sanitizer, an emulator or measured, ten times as
# slow, at one in seven.
function(persist_unit_test area module)
  if(NOT PERSIST_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  set(stride 1)
  if(PERSIST_SANITIZE OR PERSIST_COVERAGE OR PERSIST_TEST_PATIENCE GREATER 5)
    set(stride 7)
  endif()
  set(target test_${area}_${module})
  add_executable(${target} ${arg_SOURCES})
  set_target_properties(${target} PROPERTIES C_EXTENSIONS OFF
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests/bin")
  target_link_libraries(${target} PRIVATE persist_flags ${arg_LIBS}
    PkgConfig::cmocka)
  target_compile_definitions(${target} PRIVATE
    PERSIST_TEST_STRIDE=${stride}
    PERSIST_TEST_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    PERSIST_TEST_BINARY_DIR="${PROJECT_BINARY_DIR}")
  add_test(NAME ${area}.${module} COMMAND ${target})
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set_tests_properties(${area}.${module} PROPERTIES LABELS "${arg_LABELS}")
  persist_test_timeout(${area}.${module} ${arg_TIMEOUT})
  persist_test_place(${area}.${module} NO)
endfunction()

# persist_wrap(AREA MODULE FUNCTION...)
# The test's own __wrap_FUNCTION is called instead of FUNCTION.  Apple's linker
# cannot do that: the test is not built there.
function(persist_wrap area module)
  if(NOT PERSIST_TESTS)
    return()
  endif()
  set(target test_${area}_${module})
  if(APPLE)
    set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
    set_tests_properties(${area}.${module} PROPERTIES DISABLED ON)
    return()
  endif()
  foreach(name IN LISTS ARGN)
    target_link_options(${target} PRIVATE LINKER:--wrap=${name})
  endforeach()
endfunction()
