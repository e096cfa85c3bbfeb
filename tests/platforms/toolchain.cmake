# To compile for the machine that TRIPLE in the environment names: another
# architecture with Debian's libraries of both side by side, or a system whose
# libraries tests/platforms/libraries has built.
set(CMAKE_SYSTEM_NAME Linux)
string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR "$ENV{TRIPLE}")
set(CMAKE_C_COMPILER "$ENV{TRIPLE}-gcc")
if("$ENV{TRIPLE}" MATCHES "musl")
  list(APPEND CMAKE_PREFIX_PATH /usr/local/musl)
elseif("$ENV{TRIPLE}" MATCHES "macos")
  set(CMAKE_SYSTEM_NAME Darwin)
  find_program(CMAKE_AR "$ENV{TRIPLE}-ar")
  find_program(CMAKE_RANLIB "$ENV{TRIPLE}-ranlib")
elseif("$ENV{TRIPLE}" MATCHES "mingw")
  set(CMAKE_SYSTEM_NAME Windows)
  set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
else()
  set(CMAKE_CXX_COMPILER "$ENV{TRIPLE}-g++")
endif()
