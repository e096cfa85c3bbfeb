# Everything Persist builds on, once: pkg-config name, minimum version, highest
# version it was tested with, and the Debian package that has it.  Nothing is
# vendored or downloaded.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# persist_dependency(TARGET PKGCONFIG MINIMUM TESTED DEBIAN)
function(persist_dependency target module minimum tested package)
  pkg_check_modules(${target} IMPORTED_TARGET "${module}>=${minimum}")
  if(NOT ${target}_FOUND)
    message(FATAL_ERROR
      "${module} ${minimum} or newer is missing: install ${package} "
      "(packaging/quickstart installs everything)")
  endif()
  if(${target}_VERSION VERSION_GREATER "${tested}")
    message(WARNING
      "${module} ${${target}_VERSION} is newer than ${tested}, the highest "
      "version Persist was tested with")
  endif()
  set_property(TARGET PkgConfig::${target} PROPERTY IMPORTED_GLOBAL TRUE)
  set(${target}_VERSION "${${target}_VERSION}" PARENT_SCOPE)
endfunction()

persist_dependency(zstd libzstd 1.4.8 1.5.99 libzstd-dev)
# gzip and CRC-32C: ISA-L, or zlib and portable code where an architecture lacks
# it.
set(PERSIST_ISAL AUTO CACHE STRING "Use ISA-L: AUTO (where there is one), ON, OFF")
set(PERSIST_DEFLATE isal)
if(PERSIST_ISAL STREQUAL AUTO)
  pkg_check_modules(isal_found QUIET libisal>=2.30)
  if(NOT isal_found_FOUND)
    set(PERSIST_DEFLATE zlib)
  endif()
elseif(NOT PERSIST_ISAL)
  set(PERSIST_DEFLATE zlib)
endif()
if(PERSIST_DEFLATE STREQUAL isal)
  persist_dependency(isal libisal 2.30 2.31.99 libisal-dev)
else()
  persist_dependency(zlib zlib 1.2.11 1.3.99 zlib1g-dev)
endif()
if(PERSIST_TESTS OR NOT PERSIST_READER_ONLY)
  persist_dependency(crypto libcrypto 3.0 3.99 libssl-dev)
endif()
persist_dependency(jansson jansson 2.13 2.14.99 libjansson-dev)
if(PERSIST_TESTS)
  persist_dependency(cmocka cmocka 1.1.5 1.1.99 libcmocka-dev)
endif()
if(PERSIST_READER_ONLY)
  return()
endif()
persist_dependency(inih inih 53 60 libinih-dev)
if(PERSIST_PLUGIN_SUPPORT)
  # 7.88: upload and header settings of plugins/support/http.
  persist_dependency(curl libcurl 7.88 7.88.99 libcurl4-openssl-dev)
endif()
if(PERSIST_PLUGIN_S3)
  persist_dependency(expat expat 2.4 2.5.99 libexpat1-dev)
endif()
# libltdl ships no pkg-config file.
find_path(LTDL_INCLUDE_DIR ltdl.h)
find_library(LTDL_LIBRARY ltdl)
if(NOT LTDL_INCLUDE_DIR OR NOT LTDL_LIBRARY)
  message(FATAL_ERROR "libltdl is missing: install libltdl-dev "
    "(packaging/quickstart installs everything)")
endif()
add_library(ltdl INTERFACE IMPORTED GLOBAL)
set_property(TARGET ltdl PROPERTY INTERFACE_INCLUDE_DIRECTORIES "${LTDL_INCLUDE_DIR}")
set_property(TARGET ltdl PROPERTY INTERFACE_LINK_LIBRARIES "${LTDL_LIBRARY}" ${CMAKE_DL_LIBS})
