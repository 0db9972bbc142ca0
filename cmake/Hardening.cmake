# The hardening flags that Debian builds with (dpkg-buildflags, hardening=+all), and CET on x86-64. tools/check_hardening checks the binaries.
include(CheckPIESupported)
check_pie_supported()

add_compile_options(-fstack-protector-strong -Wformat -Werror=format-security)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  add_compile_options(-fcf-protection)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-fstack-clash-protection)
endif()
if(NOT AMPHI_SANITIZE)
  # The sanitizers intercept the functions that fortification replaces.
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
add_link_options(-Wl,-z,relro -Wl,-z,now)
