/* The libsrt side of the SRT benches: a relay to compare with, and publishers as venues have them.
 *
 *   libsrt relay PORT [PASSPHRASE]
 *       m=publish sends to every m=request of the same r=NAME in the stream id.
 *   libsrt publish HOST PORT COUNT STREAMID BITS_PER_SECOND SECONDS [PASSPHRASE]
 *       COUNT callers send null TS packets at a rate each; %d in the stream id is the caller's number. The first packet
 *       of each payload holds the wall clock. Says READY, waits for a line, sends, waits until all is acknowledged,
 *       and prints what became of it as one line of JSON.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <srt/srt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAYLOAD = 1316, TS = 188, PUBLISHERS = 256, FEEDS = 256, PULLERS = 1024 };

static int64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void set(SRTSOCKET s, SRT_SOCKOPT option, int value) { srt_setsockflag(s, option, &value, sizeof value); }

static SRTSOCKET new_socket(const char *passphrase) {
  bool no = false;
  SRTSOCKET s = srt_create_socket();
  set(s, SRTO_LATENCY, 120);
  set(s, SRTO_PAYLOADSIZE, PAYLOAD);
  if (passphrase) {
    set(s, SRTO_PBKEYLEN, 32);
    srt_setsockflag(s, SRTO_PASSPHRASE, passphrase, strlen(passphrase));
  }
  srt_setsockflag(s, SRTO_RCVSYN, &no, sizeof no);
  srt_setsockflag(s, SRTO_SNDSYN, &no, sizeof no);
  return s;
}

static struct sockaddr_in address(const char *host, int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &a.sin_addr);
  return a;
}

/* ---- relay ---- */

struct feed {
  char name[64];
  int pullers;
  SRTSOCKET puller[PULLERS];
};

static struct feed feeds[FEEDS];

static struct feed *feed_of(const char *stream_id) {
  char name[64] = "";
  const char *r = strstr(stream_id, "r=");
  if (r) sscanf(r + 2, "%63[^,]", name);
  for (int i = 0; i < FEEDS; i++) {
    if (!feeds[i].name[0]) strcpy(feeds[i].name, name);
    if (!strcmp(feeds[i].name, name)) return &feeds[i];
  }
  return NULL;
}

static void relay_on(struct feed *feed, const char *bytes, int len) {
  for (int i = 0; i < feed->pullers; i++)
    if (srt_send(feed->puller[i], bytes, len) < 0 && srt_getsockstate(feed->puller[i]) > SRTS_CONNECTED) {
      srt_close(feed->puller[i]);
      feed->puller[i--] = feed->puller[--feed->pullers];
    }
}

static int relay(int port, const char *passphrase) {
  static struct { SRTSOCKET socket; struct feed *feed; } publishers[PUBLISHERS];
  int count = 0, events = SRT_EPOLL_IN | SRT_EPOLL_ERR, poll = srt_epoll_create();
  struct sockaddr_in here = address("0.0.0.0", port);
  SRTSOCKET listener = new_socket(passphrase);
  if (srt_bind(listener, (void *)&here, sizeof here) < 0 || srt_listen(listener, 1024) < 0) {
    fprintf(stderr, "%s\n", srt_getlasterror_str());
    return 1;
  }
  srt_epoll_add_usock(poll, listener, &events);
  for (;;) {
    SRT_EPOLL_EVENT ready[128];
    int n = srt_epoll_uwait(poll, ready, 128, 200);
    for (int i = 0; i < n; i++) {
      SRTSOCKET s;
      char bytes[2048];
      if (ready[i].fd == listener) {
        while ((s = srt_accept(listener, NULL, NULL)) >= 0) {
          char stream_id[513] = "";
          int len = 512;
          srt_getsockflag(s, SRTO_STREAMID, stream_id, &len);
          struct feed *feed = feed_of(stream_id);
          if (strstr(stream_id, "m=publish") && count < PUBLISHERS) {
            publishers[count].socket = s;
            publishers[count++].feed = feed;
            srt_epoll_add_usock(poll, s, &events);
          } else if (feed && feed->pullers < PULLERS) {
            feed->puller[feed->pullers++] = s;
          }
        }
        continue;
      }
      int p = 0, len;
      while (p < count && publishers[p].socket != ready[i].fd) p++;
      if (p == count) continue;
      while ((len = srt_recvmsg(publishers[p].socket, bytes, sizeof bytes)) > 0) relay_on(publishers[p].feed, bytes, len);
      if (srt_getsockstate(publishers[p].socket) > SRTS_CONNECTED) {
        srt_epoll_remove_usock(poll, publishers[p].socket);
        srt_close(publishers[p].socket);
        publishers[p] = publishers[--count];
      }
    }
  }
}

/* ---- publish ---- */

static void payload(char *bytes) {
  memset(bytes, 0xff, PAYLOAD);
  for (int i = 0; i < PAYLOAD; i += TS) memcpy(bytes + i, "\x47\x1f\xff\x10", 4);
  int64_t now = clock_ns(CLOCK_REALTIME);
  memcpy(bytes + 4, "flambeau", 8);
  memcpy(bytes + 12, &now, 8);
}

static int publish(char **v, const char *passphrase) {
  int count = atoi(v[2]), up = 0;
  double rate = atof(v[4]) / 8, seconds = atof(v[5]);
  long total = rate * seconds / PAYLOAD, sent[PUBLISHERS] = {0}, unacknowledged = 0, dropped = 0, retransmitted = 0;
  SRTSOCKET s[PUBLISHERS];
  struct sockaddr_in there = address(v[0], atoi(v[1]));
  for (int i = 0; i < count && i < PUBLISHERS; i++) {
    char stream_id[512];
    bool yes = true;
    snprintf(stream_id, sizeof stream_id, v[3], i);
    s[i] = new_socket(passphrase);
    srt_setsockflag(s[i], SRTO_RCVSYN, &yes, sizeof yes);
    srt_setsockflag(s[i], SRTO_STREAMID, stream_id, strlen(stream_id));
    if (srt_connect(s[i], (void *)&there, sizeof there) >= 0) up++;
    else fprintf(stderr, "publisher %d: %s\n", i, srt_getlasterror_str());
  }
  printf("READY %d\n", up);
  fflush(stdout);
  getchar();
  int64_t begin = clock_ns(CLOCK_MONOTONIC);
  for (bool more = true; more; usleep(1000)) {
    long due = (clock_ns(CLOCK_MONOTONIC) - begin) * 1e-9 * rate / PAYLOAD;
    more = due < total + 15 * rate / PAYLOAD;
    bool left = false;
    for (int i = 0; i < count; i++) {
      while (sent[i] < due && sent[i] < total) {
        char bytes[PAYLOAD];
        payload(bytes);
        if (srt_send(s[i], bytes, PAYLOAD) < 0) break;
        sent[i]++;
      }
      left |= sent[i] < total;
    }
    more &= left;
  }
  long packets = 0;
  for (int turn = 0; turn < 1000; turn++) {
    unacknowledged = 0;
    for (int i = 0; i < count; i++) {
      size_t blocks = 0, bytes = 0;
      srt_getsndbuffer(s[i], &blocks, &bytes);
      unacknowledged += blocks;
    }
    if (!unacknowledged) break;
    usleep(5000);
  }
  for (int i = 0; i < count; i++) {
    SRT_TRACEBSTATS stats;
    packets += sent[i];
    if (srt_bstats(s[i], &stats, 0) < 0) continue;
    dropped += stats.pktSndDropTotal;
    retransmitted += stats.pktRetransTotal;
  }
  printf("{\"connected\": %d, \"bytes\": %ld, \"bytes_each\": %ld, \"unacknowledged\": %ld, \"dropped\": %ld, \"retransmitted\": %ld}\n",
         up, packets * PAYLOAD, total * PAYLOAD, unacknowledged, dropped, retransmitted);
  fflush(stdout);
  getchar();
  return 0;
}

int main(int c, char **v) {
  srt_startup();
  srt_setloglevel(0);
  if ((c == 3 || c == 4) && !strcmp(v[1], "relay")) return relay(atoi(v[2]), c == 4 ? v[3] : NULL);
  if ((c == 8 || c == 9) && !strcmp(v[1], "publish")) return publish(v + 2, c == 9 ? v[8] : NULL);
  fprintf(stderr, "see the head of libsrt.c\n");
  return 2;
}
