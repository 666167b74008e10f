package main

import (
	"context"
	"strconv"
	"time"

	"github.com/latchward/latchward/rest"
)

type tokenUsage struct {
	ID   int64 `arg:"" optional:"" help:"Id of the token; all tokens when left out."`
	Days int   `help:"How far back, in days." default:"7"`
}

func (c *tokenUsage) Run(ctx context.Context, s *session) error {
	return s.with(ctx, func(client *rest.Client) error {
		if c.ID == 0 {
			reply, err := client.UsageOverview(ctx, c.Days)
			if err != nil {
				return err
			}
			return s.print(reply, overviewTables(&reply)...)
		}
		reply, err := client.TokenUsage(ctx, c.ID, c.Days)
		if err != nil {
			return err
		}
		return s.print(reply, usageTables(&reply)...)
	})
}

func usageTables(u *rest.TokenUsage) []table {
	hours := table{title: "By hour", header: []string{"HOUR (UTC)", "REQUESTS", "OK", "FAILED", "AVERAGE"}}
	for _, h := range u.HourlyUsage {
		hours.add(second(h.Hour), number(h.Requests), number(h.SuccessfulRequests), number(h.FailedRequests),
			milliseconds(h.AverageResponseTime))
	}
	recent := table{
		title: "Recent requests", header: []string{"TIME (UTC)", "METHOD", "ENDPOINT", "STATUS", "TIME", "ADDRESS"},
	}
	for _, r := range u.RecentRequests {
		recent.add(second(r.CreatedAt), r.Method, r.Endpoint, strconv.Itoa(r.StatusCode), milliseconds(r.ResponseTimeMS),
			optional(r.IPAddress))
	}
	return []table{hours, endpointTable(u.EndpointUsage), recent}
}

func endpointTable(usage []rest.EndpointUsage) table {
	t := table{title: "By endpoint", header: []string{"METHOD", "ENDPOINT", "REQUESTS", "AVERAGE"}}
	for _, e := range usage {
		t.add(e.Method, e.Endpoint, number(e.Requests), milliseconds(e.AverageResponseTime))
	}
	return t
}

func overviewTables(o *rest.UsageOverview) []table {
	totals := table{header: []string{"ACTIVE TOKENS", "REQUESTS", "OK", "FAILED", "AVERAGE", "WITH A JWT"}}
	totals.add(number(o.Overview.ActiveTokens), number(o.Overview.TotalRequests), number(o.Overview.SuccessfulRequests),
		number(o.Overview.FailedRequests), milliseconds(o.Overview.AverageResponseTime), number(o.JWT.TotalRequests))
	tokens := table{title: "By token", header: []string{"ID", "NAME", "REQUESTS", "AVERAGE"}}
	for _, t := range o.TopTokens {
		tokens.add(number(t.ID), t.Name, number(t.Requests), milliseconds(t.AverageResponseTime))
	}
	return []table{totals, tokens, endpointTable(o.TopEndpoints)}
}

func milliseconds(n int64) string { return (time.Duration(n) * time.Millisecond).String() }
