/* SPDX-License-Identifier: Apache-2.0
 * Scanners that fail again and again, on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include "scan/dispatch.h"

static uint64_t now = 1000000;
uint64_t __wrap_clock_mono_ms(void); // NOLINT(bugprone-reserved-identifier): the linker's name
uint64_t __wrap_clock_mono_ms(void) { return now; } // NOLINT(bugprone-reserved-identifier)

static struct runner first, second;
static struct config_scanner scanners[] = { { .name = "av", .enabled = true }, { .name = "off" }, { .name = "rspamd", .enabled = true } };
static const struct config config = { .scanners = scanners, .scanner_n = countof(scanners) };

static void tell(struct breaker *b, const char *name, enum scanner_state state)
{
    json_t *report = json_pack("{s:[{s:s, s:i, s:s}]}", "scanners", "name", name, "state", (int)state, "text", "why");
    breaker_take(b, report);
    json_decref(report);
}

/* How many scanners it must not ask. */
static size_t down(struct breaker *b, const struct runner *r)
{
    json_t *list = breaker_down(b, r);
    size_t n = json_array_size(list);
    json_decref(list);
    return n;
}

static void after_three_failures_nobody_asks(void **state)
{
    struct breaker *b = breaker_new(&config);
    tell(b, "av", SCANNER_DOWN);
    tell(b, "av", SCANNER_TIMEOUT);
    tell(b, "av", SCANNER_FINE);
    tell(b, "av", SCANNER_DOWN);
    tell(b, "av", SCANNER_NONSENSE);
    tell(b, "av", SCANNER_TOO_LARGE); /* it answered */
    tell(b, "av", SCANNER_DOWN);
    tell(b, "rspamd", SCANNER_DOWN);
    tell(b, "av", SCANNER_DOWN);
    tell(b, "nobody", SCANNER_DOWN);
    assert_int_equal(down(b, &first), 0);
    tell(b, "av", SCANNER_DOWN);
    assert_int_equal(down(b, &first), 1);
    tell(b, "av", SCANNER_NOT_ASKED);
    assert_int_equal(down(b, &second), 1);
    json_t *all = breaker_state(b);
    assert_int_equal(json_array_size(all), 2);
    assert_true(json_is_true(json_object_get(json_array_get(all, 0), "paused")));
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "error")), "why");
    json_decref(all);
    breaker_free(b);
}

static void one_message_tries_after_a_pause_that_doubles(void **state)
{
    static const uint64_t pauses[] = { 10000, 20000, 40000, 80000, 120000, 120000 };
    struct breaker *b = breaker_new(&config);
    for (int i = 0; i < 3; i++) tell(b, "av", SCANNER_DOWN);
    for (size_t i = 0; i < countof(pauses); i++) {
        now += pauses[i] - 1;
        assert_int_equal(down(b, &first), 1);
        now++;
        assert_int_equal(down(b, &first), 0);  /* it tries, */
        assert_int_equal(down(b, &second), 1); /* and no other */
        tell(b, "av", SCANNER_TIMEOUT);
        breaker_release(b, &first);
        assert_int_equal(down(b, &first), 1);
    }
    now += 120000;
    assert_int_equal(down(b, &second), 0);
    breaker_release(b, &second); /* its process ended with the message: another one tries */
    assert_int_equal(down(b, &first), 0);
    tell(b, "av", SCANNER_FINE);
    breaker_release(b, &first);
    assert_int_equal(down(b, &first), 0);
    assert_int_equal(down(b, &second), 0);
    breaker_free(b);
}

static void what_makes_no_sense_is_passed_over(void **state)
{
    static const char *const reports[] = { "{}", "{\"scanners\":1}", "{\"scanners\":[1,[],{},{\"name\":5},{\"name\":\"av\",\"state\":99}]}",
                                           "{\"scanners\":[{\"name\":\"av\",\"state\":-1,\"text\":7}]}" };
    struct breaker *b = breaker_new(&config);
    for (size_t i = 0; i < 4 * countof(reports); i++) {
        json_t *j = json_loads(reports[i % countof(reports)], 0, NULL);
        breaker_take(b, j);
        json_decref(j);
    }
    breaker_take(b, NULL);
    assert_int_equal(down(b, &first), 0);
    breaker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_three_failures_nobody_asks),
        cmocka_unit_test(one_message_tries_after_a_pause_that_doubles),
        cmocka_unit_test(what_makes_no_sense_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
