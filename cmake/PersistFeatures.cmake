# The build flags of docs/decisions.md.  A flag whose room is not in this source
# tree yet is refused rather than ignored.
option(PERSIST_ASYNC "Threads: parallel compression and the asynchronous API" OFF)
option(PERSIST_METRICS "Metrics and traces" OFF)

option(PERSIST_PLUGIN_S3 "The backend for Amazon S3 and what resembles it" OFF)
option(PERSIST_PLUGIN_GCS "The backend for Google Cloud Storage" OFF)
# For work on it without a backend; each network backend brings it anyway.
option(PERSIST_PLUGIN_SUPPORT "What the network backends share" OFF)

set(PERSIST_NETWORK_BACKENDS)
foreach(name s3 gcs)
  string(TOUPPER "PERSIST_PLUGIN_${name}" flag)
  if(${flag})
    list(APPEND PERSIST_NETWORK_BACKENDS ${name})
  endif()
endforeach()
if(PERSIST_NETWORK_BACKENDS)
  set(PERSIST_PLUGIN_SUPPORT ON)
endif()

set(missing)
foreach(name IN LISTS PERSIST_NETWORK_BACKENDS)
  if(NOT EXISTS "${PROJECT_SOURCE_DIR}/plugins/${name}/CMakeLists.txt")
    string(TOUPPER "PERSIST_PLUGIN_${name}" flag)
    list(APPEND missing ${flag})
  endif()
endforeach()
foreach(flag IN LISTS missing)
  message(FATAL_ERROR
    "${flag}=ON: this source tree does not hold that feature yet. "
    "See CHANGELOG.md for what is built.")
endforeach()
