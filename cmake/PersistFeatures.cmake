# The build flags of docs/decisions.md.  A flag whose room is not in this source
# tree yet is refused rather than ignored.
option(PERSIST_ASYNC "Threads: parallel compression and the asynchronous API" OFF)

option(PERSIST_PLUGIN_S3 "The backend for Amazon S3 and what speaks its protocol" OFF)

foreach(flag PERSIST_PLUGIN_GCS PERSIST_METRICS)
  option(${flag} "Not in this source tree yet" OFF)
  if(${flag})
    message(FATAL_ERROR
      "${flag}=ON: this source tree does not hold that feature yet. "
      "See CHANGELOG.md for what is built.")
  endif()
endforeach()
