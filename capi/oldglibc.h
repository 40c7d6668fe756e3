/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Binds symbols that glibc gave a new version later to their oldest one, so that a library
 * built on a new system loads on every glibc from 2.17. Forced into every C file, those of
 * the Go runtime too, by CGO_CFLAGS="-include .../oldglibc.h"; libpthread must then be linked
 * by name (CGO_LDFLAGS="-Wl,--no-as-needed -l:libpthread.so.0"). A test looks at the result.
 */
#if !defined(X0X_OLDGLIBC_H) && !defined(__ASSEMBLER__) && defined(__linux__)
#define X0X_OLDGLIBC_H

#if defined(__x86_64__)
#define X0X_OLD(symbol) __asm__(".symver " #symbol "," #symbol "@GLIBC_2.2.5");
#elif defined(__aarch64__)
#define X0X_OLD(symbol) __asm__(".symver " #symbol "," #symbol "@GLIBC_2.17");
#else
#define X0X_OLD(symbol)
#endif

X0X_OLD(pthread_create)
X0X_OLD(pthread_detach)
X0X_OLD(pthread_sigmask)
X0X_OLD(pthread_attr_getstack)
X0X_OLD(pthread_attr_getstacksize)
X0X_OLD(pthread_attr_setstacksize)
X0X_OLD(pthread_getattr_np)
X0X_OLD(pthread_key_create)
X0X_OLD(pthread_setspecific)

#endif
