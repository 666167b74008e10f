//go:build servers

package server_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	rulesFile     = "../deploy/prometheus/latchward.rules.yml"
	dashboardFile = "../deploy/grafana/latchward.json"
)

func promtool(t *testing.T, arguments ...string) {
	t.Helper()
	if out, err := exec.Command("promtool", arguments...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}

// The alert rules are rules, and fire when they should and only then.
func TestAlertRules(t *testing.T) {
	promtool(t, "check", "rules", rulesFile)
	promtool(t, "test", "rules", strings.Replace(rulesFile, ".yml", ".test.yml", 1))
}

// Every alert is tested for being silent and for firing.
func TestAlertRulesAreTested(t *testing.T) {
	tests := read(t, strings.Replace(rulesFile, ".yml", ".test.yml", 1))
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(read(t, rulesFile), -1)
	if len(alerts) == 0 {
		t.Fatal("there are no alerts")
	}
	for _, alert := range alerts {
		if silent := "alertname: " + alert[1] + "}"; !strings.Contains(tests, silent) {
			t.Errorf("nothing shows %s silent", alert[1])
		}
		if fires := `alertname="` + alert[1] + `"`; !strings.Contains(tests, fires) {
			t.Errorf("nothing shows %s fire", alert[1])
		}
	}
}

// dashboardQueries returns what the dashboard asks Prometheus, with values in the place of the dashboard's variables.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$instance", ".*", "$__rate_interval", "5m")
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, variables.Replace(target.Expr))
		}
	}
	if len(queries) < 20 {
		t.Fatalf("the dashboard asks %d questions", len(queries))
	}
	return queries
}

func TestDashboardQueries(t *testing.T) {
	text := "groups: [{name: dashboard, rules: ["
	for i, query := range dashboardQueries(t) {
		text += "{record: q" + strconv.Itoa(i) + ", expr: " + strconv.Quote(query) + "},\n"
	}
	name := filepath.Join(t.TempDir(), "dashboard.yml")
	write(t, name, text+"]}]\n", 0o600)
	promtool(t, "check", "rules", name)
}

// Rules and dashboard ask for metrics that there are.
func TestMonitoredMetrics(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	shown := get(t, r.OperationsURL()+"/metrics", "").body
	asked := read(t, rulesFile) + strings.Join(dashboardQueries(t), "\n")
	for _, name := range regexp.MustCompile(`\b(latchward|process|go)_[a-z_]+\b`).FindAllString(asked, -1) {
		if !strings.Contains(shown, "\n"+name+"{") && !strings.Contains(shown, "\n"+name+" ") {
			t.Errorf("%s is asked for, and there is no such metric", name)
		}
	}
}
