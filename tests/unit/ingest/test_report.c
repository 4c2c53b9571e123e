/* SPDX-License-Identifier: Apache-2.0 */
/* test_report: a thread that gets nowhere is logged once each time. */
#include "check.h"

#include "base/log.h"
#include "ingest/report.h"

#define MS UINT64_C(1000000)
#define WATCHDOG (1000 * MS)

static bool is_stuck;
static unsigned lines;

bool __wrap_pulse_is_stuck(struct pulse *pulse, uint64_t most_ns);
bool __wrap_pulse_is_stuck(struct pulse *pulse, uint64_t most_ns)
{
    (void)pulse;
    assert_int_equal(most_ns, WATCHDOG);
    return is_stuck;
}

void __wrap_log_error(const char *event, const char *format, ...);
void __wrap_log_error(const char *event, const char *format, ...)
{
    (void)format;
    assert_string_equal(event, "stuck");
    lines++;
}

static void each_hang_is_logged_once(void **state)
{
    static const bool looks[] = {false, true, true, true, false, false, true, true, false, true};
    static const unsigned after[] = {0, 1, 1, 1, 1, 1, 2, 2, 2, 3};
    static struct metrics metrics;
    struct report report = {.told = SPN_OK};
    struct notify notify = {.fd = -1, .watchdog_ns = WATCHDOG};
    struct pulse pulse = {.name = "worker"};
    const struct report_service service = {
        .notify = &notify, .pulses = &pulse, .pulse_count = 1, .metrics = &metrics};
    (void)state;
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        is_stuck = looks[i];
        report_service(&report, &service, (i + 1) * WATCHDOG);
        assert_int_equal(lines, after[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_hang_is_logged_once)};
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
