/* Replaces Flinks in benchmarks: answers SetScheduledRefresh after a fixed delay, at a few microseconds of CPU a call.
 *
 * One thread, epoll, HTTP/1.1 with keep-alive, on a free loopback port that it prints. It records the arrival
 * (CLOCK_MONOTONIC, us), the loginId and the wish of each PATCH in order of arrival. The control paths are:
 *   GET  /count            calls so far, calls answered, maximum of connections with an unanswered call
 *   GET  /calls            binary, 48 bytes a call: arrival us (uint64), loginId (39 bytes, 0-padded), wish (1 byte)
 *   POST /reset?delay=MS   forget all calls, and from now on answer after MS milliseconds
 *   GET  /cpu              user + system time of this process in microseconds
 * It does not validate: it parses a request only as far as needed to answer it. The emulator validates requests.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 65536, BUFFER = 16384, LOGIN = 39, EVENTS = 512 };

typedef struct { uint64_t at_us; char login[LOGIN]; char wish; } Call;
typedef struct { char *in; size_t have; uint32_t generation; int busy; } Connection;
typedef struct { uint64_t due_us; int fd; uint32_t generation; size_t call; } Waiting;

static Connection connections[MOST_CONNECTIONS];
static Call *calls;
static size_t call_count, call_room, answered;
static Waiting *line; /* a ring: the delay is the same for all calls, so the first to arrive is due first */
static size_t line_head, line_count, line_room;
static uint64_t delay_us;
static int poller, in_hand, most_in_hand;

static uint64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void fail(const char *what) { perror(what); exit(1); }

static void hang_up(int fd) {
  Connection *c = &connections[fd];
  if (c->busy) in_hand--;
  free(c->in);
  c->in = NULL; c->have = 0; c->busy = 0; c->generation++;
  close(fd);
}

static void send_all(int fd, const char *data, size_t size) {
  while (size > 0) {
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) { usleep(100); continue; } /* only /calls is that large */
    if (sent < 0) return;
    data += sent; size -= (size_t)sent;
  }
}

static void answer(int fd, const char *type, const char *body, size_t size) {
  char reply[1024];
  int head = snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %zu\r\n\r\n", type, size);
  if ((size_t)head + size <= sizeof reply) {
    memcpy(reply + head, body, size);
    send_all(fd, reply, (size_t)head + size);
  } else {
    send_all(fd, reply, (size_t)head);
    send_all(fd, body, size);
  }
}

static void confirm(int fd, const Call *call) {
  char body[160];
  int size = snprintf(body, sizeof body, "\"LoginId %s has now been %s for automatic refresh\"", call->login,
                      call->wish == '1' ? "activated" : "deactivated");
  connections[fd].busy = 0; in_hand--; answered++;
  answer(fd, "application/json; charset=utf-8", body, (size_t)size);
}

static void wait_in_line(int fd, size_t call) {
  if (line_count == line_room) {
    size_t room = line_room ? line_room * 2 : 1024;
    Waiting *longer = malloc(room * sizeof *longer);
    if (!longer) fail("malloc");
    for (size_t i = 0; i < line_count; i++) longer[i] = line[(line_head + i) % line_room];
    free(line);
    line = longer; line_head = 0; line_room = room;
  }
  line[(line_head + line_count++) % line_room] = (Waiting){now_us() + delay_us, fd, connections[fd].generation, call};
}

static void take_call(int fd, const char *body, size_t size) {
  if (call_count == call_room) {
    call_room = call_room ? call_room * 2 : 65536;
    calls = realloc(calls, call_room * sizeof *calls);
    if (!calls) fail("realloc");
  }
  Call *call = &calls[call_count];
  memset(call, 0, sizeof *call);
  call->at_us = now_us();
  const char *id = memmem(body, size, "\"loginId\"", 9), *flag = memmem(body, size, "\"isActivated\"", 13);
  if (id) {
    const char *end = body + size;
    id += 9;
    while (id < end && *id != '"') id++;
    for (int i = 0; i < LOGIN - 1 && ++id < end && *id != '"'; i++) call->login[i] = *id;
  }
  call->wish = flag && memmem(flag, size - (size_t)(flag - body), "true", 4) ? '1' : '0';
  connections[fd].busy = 1;
  if (++in_hand > most_in_hand) most_in_hand = in_hand;
  if (delay_us == 0) confirm(fd, &calls[call_count++]);
  else wait_in_line(fd, call_count++);
}

static void take_control(int fd, const char *head) {
  char text[160];
  struct rusage used;
  int size = 0;
  if (!strncmp(head, "GET /calls", 10)) {
    answer(fd, "application/octet-stream", (const char *)calls, call_count * sizeof *calls);
    return;
  }
  if (!strncmp(head, "POST /reset", 11)) {
    const char *delay = strstr(head, "delay=");
    delay_us = delay ? (uint64_t)(atof(delay + 6) * 1000) : 0;
    call_count = answered = 0; most_in_hand = in_hand;
    size = snprintf(text, sizeof text, "{}");
  } else if (!strncmp(head, "GET /cpu", 8)) {
    getrusage(RUSAGE_SELF, &used);
    size = snprintf(text, sizeof text, "%lld", (long long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
                    used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  } else {
    size = snprintf(text, sizeof text, "{\"calls\":%zu,\"answered\":%zu,\"most_in_hand\":%d}", call_count, answered,
                    most_in_hand);
  }
  answer(fd, "application/json", text, (size_t)size);
}

/* Returns the length of one whole request in bytes, 0 while it is incomplete. */
static size_t take_request(int fd, const char *in, size_t have) {
  const char *end = memmem(in, have, "\r\n\r\n", 4);
  if (!end) return 0;
  size_t head = (size_t)(end - in) + 4, body = 0;
  for (const char *at = in; at < end; at++) { /* headers begin after a line's end */
    if (*at == '\n' && !strncasecmp(at + 1, "content-length:", 15)) { body = strtoul(at + 16, NULL, 10); break; }
  }
  if (have < head + body) return 0;
  if (!strncmp(in, "PATCH", 5)) take_call(fd, in + head, body);
  else take_control(fd, in);
  return head + body;
}

static void read_from(int fd) {
  Connection *c = &connections[fd];
  ssize_t got = recv(fd, c->in + c->have, BUFFER - 1 - c->have, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) { hang_up(fd); return; }
  c->have += (size_t)got;
  c->in[c->have] = 0;
  size_t used = 0, taken;
  while ((taken = take_request(fd, c->in + used, c->have - used)) > 0) used += taken;
  c->have -= used;
  memmove(c->in, c->in + used, c->have);
  if (c->have == BUFFER - 1) hang_up(fd);
}

static void welcome(int listener) {
  int fd, one = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    if (fd >= MOST_CONNECTIONS) { close(fd); continue; }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connections[fd].in = malloc(BUFFER);
    if (!connections[fd].in) fail("malloc");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  }
}

static void answer_the_due(void) {
  uint64_t now = line_count ? now_us() : 0;
  while (line_count && line[line_head].due_us <= now) {
    Waiting w = line[line_head];
    line_head = (line_head + 1) % line_room; line_count--;
    if (connections[w.fd].generation == w.generation && w.call < call_count) confirm(w.fd, &calls[w.call]);
  }
}

static int until_next(void) {
  if (!line_count) return -1;
  uint64_t now = now_us(), due = line[line_head].due_us;
  return due <= now ? 0 : (int)((due - now + 999) / 1000);
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives the benchmark */
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  poller = epoll_create1(0);
  struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int ready = epoll_wait(poller, events, EVENTS, until_next());
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == listener) welcome(listener);
      else read_from(events[i].data.fd);
    }
    answer_the_due();
  }
}
