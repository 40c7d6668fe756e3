/* storm PID SIGNUM ROUNDS: sends SIGNUM to every thread of PID, ROUNDS times. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int pid = atoi(argv[1]), sig = atoi(argv[2]), rounds = atoi(argv[3]);
    char path[64];
    long sent = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    for (int i = 0; i < rounds; i++) {
        DIR *d = opendir(path);
        if (!d)
            return 1;
        for (struct dirent *e; (e = readdir(d));)
            if (e->d_name[0] != '.' && syscall(SYS_tgkill, pid, atoi(e->d_name), sig) == 0)
                sent++;
        closedir(d);
        usleep(100);
    }
    printf("%ld\n", sent);
    return 0;
}
