// SPDX-License-Identifier: Apache-2.0
//
// version: of library, daemon and tools alike. The commit comes from the build, on programs only.
#ifndef RINGTAPE_FORMAT_VERSION_H
#define RINGTAPE_FORMAT_VERSION_H

#define RINGTAPE_VERSION "0.1.0"

#ifndef RINGTAPE_COMMIT
#define RINGTAPE_COMMIT "unknown"
#endif

#endif
