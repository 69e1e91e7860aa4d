/* A program that embeds quern: pulls a report, prints the summary, interrupts a second run before it begins. */
#include <stdio.h>
#include <string.h>

#include <quern.h>

static int events;

static void on_event(void *user, const char *line, size_t size)
{
    (void)user;
    if (size > 2 && line[0] == '{' && line[size - 1] == '}') events++;
}

int main(int argc, char **argv)
{
    struct quern_options options = {.on_event = on_event};
    struct quern *q = quern_new(&options);
    char call[1024];
    int status;

    if (!q || argc < 2) return 9;
    snprintf(
        call, sizeof call,
        "{\"script\":\"details_paged\",\"params\":{\"from\":\"2024-01-01\",\"to\":\"2024-01-03\"},\"output\":\"%s\"}",
        argv[1]);
    status = quern_call(q, "run", call);
    puts(quern_result(q));
    if (status != 0 || !strstr(quern_result(q), "\"verdict\":\"complete\"") || events < 5) return 1;
    if (quern_call(q, "run", "not json") != 2 || quern_call(q, "nothing", "{}") != 2) return 2;
    quern_interrupt(q);
    if (quern_call(q, "run", call) != 130) return 3;
    if (quern_call(q, "plan", call) != 0) return 4;
    return quern_free(q) == 0 ? 0 : 5;
}
