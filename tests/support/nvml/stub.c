/* A libnvidia-ml.so.1 whose GPUs are a text file, the one that RESURGAM_NVML names. The real pynvml loads it.

   The file is read again whenever it was replaced. Its lines:

   driver 580.159.04 | library 13.580.159.04     versions
   init RC | count RC | wait RC                  opening, counting the GPUs, waiting for events fails so
   hang [CALL]                                   every call (or this one) waits until the line is gone
   slow MS                                       every call lasts so long
   deaf                                          SIGTERM does nothing, as for a process that is stuck in the kernel
   crash                                         the next call ends the process
   print TEXT                                    opening writes to stdout
   log                                           every call is written to FILE.calls (opening and closing always are)
   fail INDEX RC [CALL]                          every call about this GPU (or this one) fails so
   gpu INDEX uuid TEXT                           there is such a GPU; the rest has values of its own where left out:
   gpu INDEX bus|name TEXT
   gpu INDEX total|free|kept|load|temperature|power|… NUMBER       sizes in bytes
   gpu INDEX process|drawing PID BYTES|?         who uses it, for computing or to draw; ?: it does not say how much
   gpu INDEX field NUMBER KIND VALUE|RC          one of the fields; KIND: d ui ul ull sll si us, or ! with an error
   gpu INDEX compute MAJOR.MINOR                 its compute capability
   gpu INDEX newer RC                            the newer memory call fails so

   Events are lines `INDEX TYPE DATA` in the FIFO that is FILE.events. Structures and numbers are those of nvml.h. */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, TOO_SMALL = 7, TIMEOUT = 10, OLD = 25 };
enum { MOST = 64 };

typedef struct { int index; } card_t;
typedef struct { uint32_t version; uint64_t total, reserved, free, used; } memory2_t;
typedef struct { uint32_t pid; uint64_t used; uint32_t gi, ci; } process_t;
typedef union { double d; uint32_t ui; unsigned long ul; uint64_t ull; int64_t sll; int32_t si; uint16_t us; } value_t;
typedef struct { uint32_t field, scope; int64_t at, took; int32_t type, rc; value_t value; } field_t;
typedef struct { card_t *card; uint64_t type, data; uint32_t gi, ci; } event_t;
typedef struct { char legacy[16]; uint32_t domain, bus, device, id, subsystem; char name[32]; } pci_t;
typedef struct { uint32_t version, sensor; int32_t value; } temperature_t;
typedef struct { uint32_t version; int32_t value; } margin_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static card_t cards[MOST];
static char text[1 << 16];
static __thread char own[sizeof text];
static struct stat seen;
static int opened, fifo = -1;

static const char *place(void) { const char *path = getenv("RESURGAM_NVML"); return path ? path : ""; }

static void note(const char *call) {
    char path[4096], line[128];
    snprintf(path, sizeof path, "%s.calls", place());
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (fd < 0) return;
    int size = snprintf(line, sizeof line, "%s\n", call);
    if (write(fd, line, size) != size) abort();
    close(fd);
}

/* The file as it is now, in `into`. */
static char *now(char *into) {
    struct stat is;
    pthread_mutex_lock(&lock);
    if (stat(place(), &is) == 0 && (is.st_ino != seen.st_ino || is.st_mtim.tv_nsec != seen.st_mtim.tv_nsec ||
                                    is.st_mtim.tv_sec != seen.st_mtim.tv_sec || is.st_size != seen.st_size)) {
        int fd = open(place(), O_RDONLY);
        ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (size >= 0) { text[size] = 0; seen = is; }
        if (fd >= 0) close(fd);
    }
    strcpy(into, text);
    pthread_mutex_unlock(&lock);
    return into;
}

/* What stands behind these first words, of the first such line at or after `from`; NULL for none. */
static char *behind(char *from, const char *words) {
    size_t size = strlen(words);
    for (char *line = from; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, words, size) && (line[size] == ' ' || line[size] == '\n' || !line[size]))
            return line[size] == ' ' ? line + size + 1 : line + size;
    return NULL;
}

static void word(char *into, size_t size, const char *from) {
    size_t length = strcspn(from, "\n");
    snprintf(into, size, "%.*s", (int)length, from);
}

/* Every call begins here: what the file says of all calls. `state`: is filled with the file. */
static int enter(const char *call, char *state) {
    for (;;) {
        now(state);
        if (behind(state, "deaf")) signal(SIGTERM, SIG_IGN);
        if (behind(state, "crash")) _exit(3);
        char *hang = behind(state, "hang");
        if (!hang || (*hang != '\n' && *hang && strncmp(hang, call, strlen(call)))) break;
        usleep(5000);
    }
    char *slow = behind(state, "slow");
    if (slow) usleep(1000 * atoi(slow));
    if (behind(state, "log")) note(call);
    return opened ? OK : UNINITIALIZED;
}

/* …and every call about one GPU here. */
static int enter_card(const char *call, card_t *card, char *state) {
    char words[64], name[128];
    int rc = enter(call, state);
    if (rc) return rc;
    if (card < cards || card >= cards + MOST) return INVALID;
    snprintf(words, sizeof words, "fail %d", card->index);
    for (char *line = state; (line = behind(line, words));) {
        int used = 0;
        if (sscanf(line, "%d%n", &rc, &used) != 1) return INVALID;
        word(name, sizeof name, line + used + (line[used] == ' '));
        if (!*name || !strcmp(name, call)) return rc;
    }
    return OK;
}

static char *told(card_t *card, const char *key, char *state) {
    char words[128];
    snprintf(words, sizeof words, "gpu %d %s", card->index, key);
    return behind(state, words);
}

static double number(card_t *card, const char *key, double otherwise, char *state) {
    char *found = told(card, key, state);
    return found ? strtod(found, NULL) : otherwise;
}

#define STATE char *state = own
#define CARD(name) STATE; int rc = enter_card(name, card, state); if (rc) return rc

int nvmlInitWithFlags(unsigned flags) {
    STATE;
    (void)flags;
    opened = 1;
    enter("nvmlInit", state);
    opened = 0;
    char *line = behind(state, "print");
    if (line) { char out[256]; word(out, sizeof out - 1, line); strcat(out, "\n"); if (write(1, out, strlen(out)) < 0) abort(); }
    line = behind(state, "init");
    note(line ? "refused" : "opened");
    if (line) return atoi(line);
    for (int index = 0; index < MOST; index++) cards[index].index = index;
    opened = 1;
    return OK;
}

int nvmlShutdown(void) {
    STATE;
    int rc = enter("nvmlShutdown", state);
    if (rc) return rc;
    note("closed");
    opened = 0;
    return OK;
}

const char *nvmlErrorString(int rc) {
    static __thread char words[32];
    snprintf(words, sizeof words, "error %d", rc);
    return words;
}

static int version(const char *call, const char *key, const char *otherwise, char *into, unsigned size) {
    STATE;
    int rc = enter(call, state);
    if (rc) return rc;
    char *line = behind(state, key);
    word(into, size, line ? line : otherwise);
    return OK;
}

int nvmlSystemGetDriverVersion(char *into, unsigned size) {
    return version("nvmlSystemGetDriverVersion", "driver", "580.159.04", into, size);
}

int nvmlSystemGetNVMLVersion(char *into, unsigned size) {
    return version("nvmlSystemGetNVMLVersion", "library", "13.580.159.04", into, size);
}

static int there(int index, char *state) { return told(&cards[index], "uuid", state) != NULL; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    STATE;
    int rc = enter("nvmlDeviceGetCount", state);
    if (rc) return rc;
    char *line = behind(state, "count");
    if (line) return atoi(line);
    for (*count = 0; *count < MOST && there(*count, state); ++*count);
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, card_t **card) {
    STATE;
    if (index >= MOST || !there(index, now(state))) return INVALID;
    int rc = enter_card("nvmlDeviceGetHandleByIndex", &cards[index], state);
    if (!rc) *card = &cards[index];
    return rc;
}

static int words_of(const char *call, card_t *card, const char *key, const char *otherwise, char *into, unsigned size) {
    CARD(call);
    char *line = told(card, key, state);
    word(into, size, line ? line : otherwise);
    return OK;
}

int nvmlDeviceGetUUID(card_t *card, char *into, unsigned size) {
    return words_of("nvmlDeviceGetUUID", card, "uuid", "GPU-?", into, size);
}

int nvmlDeviceGetName(card_t *card, char *into, unsigned size) {
    return words_of("nvmlDeviceGetName", card, "name", "NVIDIA H200", into, size);
}

int nvmlDeviceGetCudaComputeCapability(card_t *card, int *major, int *minor) {
    CARD("nvmlDeviceGetCudaComputeCapability");
    char *line = told(card, "compute", state);
    return sscanf(line ? line : "9.0", "%d.%d", major, minor) == 2 ? OK : INVALID;
}

int nvmlDeviceGetPciInfo_v3(card_t *card, pci_t *pci) {
    CARD("nvmlDeviceGetPciInfo");
    char otherwise[32];
    memset(pci, 0, sizeof *pci);
    snprintf(otherwise, sizeof otherwise, "00000000:%02X:00.0", 0x17 + card->index);
    char *line = told(card, "bus", state);
    word(pci->name, sizeof pci->name, line ? line : otherwise);
    return OK;
}

int nvmlDeviceGetMemoryInfo(card_t *card, uint64_t *memory) {
    CARD("nvmlDeviceGetMemoryInfo");
    memory[0] = number(card, "total", 80.0 * (1 << 30), state);
    memory[1] = number(card, "free", memory[0], state);
    memory[2] = memory[0] - memory[1];
    return OK;
}

int nvmlDeviceGetMemoryInfo_v2(card_t *card, memory2_t *memory) {
    CARD("nvmlDeviceGetMemoryInfo");
    if (memory->version != 0x02000028) return OLD;
    char *newer = told(card, "newer", state);
    if (newer) return atoi(newer);
    memory->total = number(card, "total", 80.0 * (1 << 30), state);
    memory->reserved = number(card, "kept", 0, state);
    memory->free = number(card, "free", memory->total - memory->reserved, state);
    memory->used = memory->total - memory->reserved - memory->free;
    return OK;
}

/* The first call asks how many there are, with room for none; the second one fetches them. */
static int processes(const char *call, const char *key, card_t *card, unsigned *count, process_t *list) {
    CARD(call);
    char words[64], used[32];
    unsigned room = *count, pid;
    snprintf(words, sizeof words, "gpu %d %s", card->index, key);
    *count = 0;
    for (char *line = state; (line = behind(line, words)); ++*count) {
        if (sscanf(line, "%u %31s", &pid, used) != 2) return INVALID;
        if (*count < room)
            list[*count] = (process_t){pid, *used == '?' ? UINT64_MAX : strtoull(used, NULL, 10), UINT32_MAX, UINT32_MAX};
    }
    return *count > room ? TOO_SMALL : OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(card_t *card, unsigned *count, process_t *list) {
    return processes("nvmlDeviceGetComputeRunningProcesses", "process", card, count, list);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(card_t *card, unsigned *count, process_t *list) {
    return processes("nvmlDeviceGetGraphicsRunningProcesses", "drawing", card, count, list);
}

int nvmlDeviceGetUtilizationRates(card_t *card, uint32_t *load) {
    CARD("nvmlDeviceGetUtilizationRates");
    load[0] = number(card, "load", 0, state);
    load[1] = number(card, "memory_load", 0, state);
    return OK;
}

int nvmlDeviceGetTemperatureV(card_t *card, temperature_t *found) {
    CARD("nvmlDeviceGetTemperatureV");
    if (found->version != 0x0100000C) return OLD;
    found->value = number(card, "temperature", 38, state);
    return OK;
}

int nvmlDeviceGetTemperature(card_t *card, int sensor, uint32_t *celsius) {
    CARD("nvmlDeviceGetTemperature");
    if (sensor) return INVALID;
    *celsius = number(card, "temperature", 38, state);
    return OK;
}

int nvmlDeviceGetTemperatureThreshold(card_t *card, int threshold, uint32_t *celsius) {
    CARD("nvmlDeviceGetTemperatureThreshold");
    if (threshold != 1) return NOT_SUPPORTED;
    *celsius = number(card, "slowdown", 89, state);
    return OK;
}

int nvmlDeviceGetMarginTemperature(card_t *card, margin_t *found) {
    CARD("nvmlDeviceGetMarginTemperature");
    found->value = number(card, "margin", 49, state);
    return OK;
}

int nvmlDeviceGetClockInfo(card_t *card, int clock, uint32_t *mhz) {
    CARD("nvmlDeviceGetClockInfo");
    *mhz = clock == 2 ? number(card, "memory_clock", 3201, state) : number(card, "sm_clock", 1980, state);
    return OK;
}

#define SCALAR(call, type, key, otherwise) \
    int call(card_t *card, type *value) { CARD(#call); *value = number(card, key, otherwise, state); return OK; }

SCALAR(nvmlDeviceGetPowerUsage, uint32_t, "power", 128529)
SCALAR(nvmlDeviceGetPerformanceState, uint32_t, "pstate", 0)
SCALAR(nvmlDeviceGetCurrentClocksEventReasons, uint64_t, "reasons", 0)
SCALAR(nvmlDeviceGetCurrentClocksThrottleReasons, uint64_t, "reasons", 0)
SCALAR(nvmlDeviceGetCurrPcieLinkGeneration, uint32_t, "link_gen", 5)
SCALAR(nvmlDeviceGetCurrPcieLinkWidth, uint32_t, "link_width", 16)
SCALAR(nvmlDeviceGetMaxPcieLinkGeneration, uint32_t, "max_link_gen", 5)
SCALAR(nvmlDeviceGetMaxPcieLinkWidth, uint32_t, "max_link_width", 16)
SCALAR(nvmlDeviceGetPersistenceMode, uint32_t, "persistence", 1)
SCALAR(nvmlDeviceGetSupportedEventTypes, uint64_t, "events", 0xFF9F)

int nvmlDeviceGetFieldValues(card_t *card, int count, field_t *values) {
    CARD("nvmlDeviceGetFieldValues");
    static const char *kinds[] = {"d", "ui", "ul", "ull", "sll", "si", "us"};
    for (int place = 0; place < count; place++) {
        field_t *value = &values[place];
        char key[32], kind[8], amount[64];
        snprintf(key, sizeof key, "field %u", value->field);
        char *line = told(card, key, state);
        value->rc = NOT_SUPPORTED;
        if (!line || sscanf(line, "%7s %63s", kind, amount) != 2) continue;
        if (*kind == '!') { value->rc = atoi(amount); continue; }
        value->rc = OK;
        for (value->type = 0; value->type < 6 && strcmp(kind, kinds[value->type]);) value->type++;
        switch (value->type) {
        case 0: value->value.d = strtod(amount, NULL); break;
        case 1: value->value.ui = strtoul(amount, NULL, 10); break;
        case 2: value->value.ul = strtoul(amount, NULL, 10); break;
        case 3: value->value.ull = strtoull(amount, NULL, 10); break;
        case 4: value->value.sll = strtoll(amount, NULL, 10); break;
        case 5: value->value.si = strtol(amount, NULL, 10); break;
        default: value->value.us = strtoul(amount, NULL, 10);
        }
    }
    return OK;
}

/* ------------------------------------------------------------ events */

typedef struct { uint64_t masks[MOST]; } set_t;

int nvmlEventSetCreate(set_t **set) {
    STATE;
    int rc = enter("nvmlEventSetCreate", state);
    if (rc) return rc;
    char path[4096];
    snprintf(path, sizeof path, "%s.events", place());
    if (fifo < 0) fifo = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    *set = calloc(1, sizeof **set);
    return OK;
}

int nvmlEventSetFree(set_t *set) {
    STATE;
    int rc = enter("nvmlEventSetFree", state);
    if (rc) return rc;
    free(set);
    return OK;
}

int nvmlDeviceRegisterEvents(card_t *card, uint64_t types, set_t *set) {
    CARD("nvmlDeviceRegisterEvents");
    if (types & ~(uint64_t)number(card, "events", 0xFF9F, state)) return NOT_SUPPORTED;
    set->masks[card->index] |= types;
    return OK;
}

int nvmlEventSetWait_v2(set_t *set, event_t *event, unsigned ms) {
    STATE;
    int rc = enter("nvmlEventSetWait", state);
    if (rc) return rc;
    char *line = behind(state, "wait"), read_line[128];
    if (line) return atoi(line);
    struct pollfd waits = {fifo, POLLIN, 0};
    for (;;) {
        if (poll(&waits, 1, ms) <= 0) return TIMEOUT;
        size_t size = 0;
        while (size < sizeof read_line - 1 && read(fifo, read_line + size, 1) == 1 && read_line[size] != '\n') size++;
        read_line[size] = 0;
        unsigned long index, type, data;
        if (sscanf(read_line, "%lu %lu %lu", &index, &type, &data) != 3 || index >= MOST) continue;
        if (!(set->masks[index] & type)) continue;
        *event = (event_t){&cards[index], type, data, UINT32_MAX, UINT32_MAX};
        return OK;
    }
}
