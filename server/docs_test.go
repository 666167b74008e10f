package server_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/latchward/latchward/server"
)

var update = flag.Bool("update", false, "write the table of settings into docs/operations.md")

const (
	operationsPage = "../docs/operations.md"
	tableStart     = "<!-- settings: made by go test ./server -run TestOperationsPage -update -->\n"
	tableEnd       = "<!-- /settings -->\n"
)

// The page has the table that the code has.
func TestOperationsPage(t *testing.T) {
	page := read(t, operationsPage)
	before, rest, found := strings.Cut(page, tableStart)
	_, after, foundEnd := strings.Cut(rest, tableEnd)
	if !found || !foundEnd {
		t.Fatalf("%s has no place for the table of settings", operationsPage)
	}
	wanted := before + tableStart + settingsTable() + tableEnd + after
	if *update {
		if err := os.WriteFile(operationsPage, []byte(wanted), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if page != wanted {
		t.Error("the table of settings in docs/operations.md is out of date: go test ./server -run TestOperationsPage -update")
	}
}

func settingsTable() string {
	var text strings.Builder
	text.WriteString("| Setting | Environment | Flag | Default | Meaning |\n| --- | --- | --- | --- | --- |\n")
	code := func(value string) string {
		if value == "" {
			return ""
		}
		return "`" + value + "`"
	}
	for _, s := range server.Settings() {
		flag := ""
		if s.Flag != "" {
			flag = "--" + s.Flag
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s |\n", code(s.Key), code(s.Environment), code(flag), code(s.Default), s.Help)
	}
	return text.String()
}

// The page names exactly the metrics there are.
func TestOperationsPageNamesMetrics(t *testing.T) {
	r := start(t, settings(t, folder(t)))
	name := regexp.MustCompile(`latchward_[a-z_]+`)
	unique := func(text string) map[string]bool {
		names := map[string]bool{}
		for _, n := range name.FindAllString(text, -1) {
			for _, part := range []string{"_bucket", "_sum", "_count"} { // of a histogram
				n = strings.TrimSuffix(n, part)
			}
			names[n] = true
		}
		return names
	}
	shown, told := unique(get(t, r.OperationsURL()+"/metrics", "").body), unique(read(t, operationsPage))
	for n := range shown {
		if !told[n] {
			t.Errorf("docs/operations.md does not tell of %s", n)
		}
	}
	for n := range told {
		if !shown[n] {
			t.Errorf("docs/operations.md tells of %s, which does not exist", n)
		}
	}
}

// The example on the page is a configuration.
func TestOperationsPageExample(t *testing.T) {
	_, rest, _ := strings.Cut(read(t, operationsPage), "```yaml\n")
	example, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("there is no example")
	}
	c, err := load(t, example, 0o644, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Upstreams) != 2 || c.Upstreams[1].Prefix != "/billing" || c.Audience != "https://tokens.example.com" {
		t.Errorf("%+v", c)
	}
}
