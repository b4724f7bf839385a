/* SPDX-License-Identifier: Apache-2.0
 * Whether this was built with a sanitizer that wants more memory and other system calls than the program itself. */
#ifndef POSTERN_BASE_SANITIZER_H
#define POSTERN_BASE_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZER 1
#endif
#endif
#ifndef SANITIZER
#define SANITIZER 0
#endif

#endif
