# To compile for the machine that TRIPLE in the environment names, with Debian's
# cross compilers and its libraries of both architectures side by side.
set(CMAKE_SYSTEM_NAME Linux)
string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR "$ENV{TRIPLE}")
set(CMAKE_C_COMPILER "$ENV{TRIPLE}-gcc")
if(NOT "$ENV{TRIPLE}" MATCHES "musl")
  set(CMAKE_CXX_COMPILER "$ENV{TRIPLE}-g++")
else()
  list(APPEND CMAKE_PREFIX_PATH /usr/local/musl)
endif()
