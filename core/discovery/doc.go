// Package discovery learns which agents exist and where they listen.
//
// An [Announcement] is what an agent says of itself, under its signature and that
// of its machine; a [Cache] keeps those of others. Start with [NewBinding] and
// [NewAnnouncement], and with [Cache.Add]. How announcements travel is the
// business of others (package rendezvous, for one).
//
// The Registry is how agents of one user on one machine find each other with no
// configuration and no network. Start with [OpenRegistry], which writes this
// agent's entry, and [Registry.Watch], which reports every other agent of the
// same network as it appears.
//
// A registry entry is a hint and nothing more: it names a port on loopback and
// the machine id that should answer there. The proof is the connection, pinned
// to that machine id; an entry that lies costs one failed dial.
//
// The package does not dial, does not judge trust and reads no environment.
// All methods are safe for concurrent use. The Registry is for Linux only;
// elsewhere OpenRegistry answers wire.KindUnsupported and the rest of the system works without it.
//
// # Rules of the folder
//
//  1. An explicit folder is used alone; otherwise every valid one of
//     [DefaultRuntimeDirs] is, because one process may lack the first (cron, a
//     service, a container) and agents that pick one folder each never meet.
//  2. A folder is created 0700, opened without following links, and must belong
//     to the user and be closed to everybody else.
//  3. An entry is written beside its final name, locked, then renamed: whoever
//     sees the name sees a complete and locked file.
//  4. A reader takes only small regular files of its own user, of this boot and
//     this network namespace. Unlocked means that the writer is gone: it is
//     unlinked. Locked means alive.
//  5. Every Refresh a writer checks its file, writes it again if it is missing,
//     and touches it otherwise. A clean exit unlinks it.
//
// # Why record locks
//
// The lock is a POSIX record lock (fcntl F_SETLK). flock and F_OFD_SETLK locks
// belong to the open file, so a forked child that inherited the descriptor
// keeps the entry of its dead parent alive; a record lock ends with its
// process. The price is that closing any descriptor of a file drops the
// process's own lock on it, and that a process never conflicts with itself.
// Both are met by one table per process of the files it wrote: a scan takes
// those from the table and never opens them.
package discovery
