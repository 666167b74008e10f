package rest

import (
	"context"
	"time"

	"github.com/latchward/latchward"
)

// DaysQuery says how far back usage is told.
type DaysQuery struct {
	Days int `json:"days,omitzero" range:"1,365" doc:"7 when missing."`
}

const defaultDays = 7

func (q DaysQuery) days() int {
	if q.Days == 0 {
		return defaultDays
	}
	return q.Days
}

// TokenUsage tells what one token did (S2-26).
type TokenUsage struct {
	HourlyUsage    []HourlyUsage   `json:"hourly_usage" doc:"Newest first; hours without requests are left out."`
	EndpointUsage  []EndpointUsage `json:"endpoint_usage" doc:"Most requests first."`
	RecentRequests []RecentRequest `json:"recent_requests" doc:"The newest 50, newest first."`
}

// HourlyUsage is one hour of a token.
type HourlyUsage struct {
	Hour                Time  `json:"hour" doc:"When it started."`
	Requests            int64 `json:"requests"`
	AverageResponseTime int64 `json:"avg_response_time" doc:"Milliseconds."`
	SuccessfulRequests  int64 `json:"successful_requests" doc:"Status below 400."`
	FailedRequests      int64 `json:"failed_requests" doc:"Status 400 and above."`
}

// EndpointUsage is one endpoint and method.
type EndpointUsage struct {
	Endpoint            string `json:"endpoint" doc:"Without base and query, and with {id} for segments that look like ids."`
	Method              string `json:"method"`
	Requests            int64  `json:"requests"`
	AverageResponseTime int64  `json:"avg_response_time" doc:"Milliseconds."`
}

// RecentRequest is one request as it was recorded (S2-30). Its first members are those of S2-26, in their order.
type RecentRequest struct {
	Endpoint       string           `json:"endpoint"`
	Method         string           `json:"method"`
	StatusCode     int              `json:"status_code"`
	ResponseTimeMS int64            `json:"response_time_ms"`
	IPAddress      *string          `json:"ip_address"`
	CreatedAt      Time             `json:"created_at"`
	RequestSize    int64            `json:"request_size" doc:"Bytes of the body."`
	ResponseSize   int64            `json:"response_size" doc:"Bytes of the body."`
	UserAgent      *string          `json:"user_agent"`
	Reason         latchward.Reason `json:"reason"`
}

// UsageOverview tells what all tokens did that the caller may see (S2-27).
type UsageOverview struct {
	Overview     OverviewTotals  `json:"overview"`
	TopTokens    []RankedToken   `json:"top_tokens"`
	TopEndpoints []EndpointUsage `json:"top_endpoints"`
	JWT          UsageTotals     `json:"jwt" doc:"The part of the overview that came with JWTs instead of tokens."`
}

// OverviewTotals are the totals of an overview.
type OverviewTotals struct {
	ActiveTokens        int64 `json:"active_tokens"`
	TotalRequests       int64 `json:"total_requests"`
	AverageResponseTime int64 `json:"avg_response_time" doc:"Milliseconds."`
	SuccessfulRequests  int64 `json:"successful_requests"`
	FailedRequests      int64 `json:"failed_requests"`
}

// UsageTotals are totals of requests.
type UsageTotals struct {
	TotalRequests       int64 `json:"total_requests"`
	AverageResponseTime int64 `json:"avg_response_time" doc:"Milliseconds."`
	SuccessfulRequests  int64 `json:"successful_requests"`
	FailedRequests      int64 `json:"failed_requests"`
}

// RankedToken is one token of an overview.
type RankedToken struct {
	ID                  int64  `json:"id"`
	Name                string `json:"name"`
	Requests            int64  `json:"requests"`
	AverageResponseTime int64  `json:"avg_response_time" doc:"Milliseconds."`
}

func (h *handler) tokenUsage(ctx context.Context, in request[DaysQuery, none]) (TokenUsage, error) {
	usage, err := h.service.TokenUsage(ctx, latchward.TokenID(in.ID), in.Query.days())
	if err != nil {
		return TokenUsage{}, err
	}
	return usageOf(&usage), nil
}

func usageOf(usage *latchward.TokenUsage) TokenUsage {
	reply := TokenUsage{
		HourlyUsage: make([]HourlyUsage, len(usage.Hours)), EndpointUsage: endpointsOf(usage.Endpoints),
		RecentRequests: make([]RecentRequest, len(usage.Recent)),
	}
	for i, hour := range usage.Hours {
		reply.HourlyUsage[i] = HourlyUsage{
			Time{hour.Hour}, hour.Requests, hour.AverageMilliseconds(), hour.Requests - hour.Failed, hour.Failed,
		}
	}
	for i := range usage.Recent {
		reply.RecentRequests[i] = recentOf(&usage.Recent[i])
	}
	return reply
}

func recentOf(e *latchward.UsageEvent) RecentRequest {
	recent := RecentRequest{
		Endpoint: e.Endpoint, Method: e.Method, StatusCode: e.Status, CreatedAt: Time{e.At},
		ResponseTimeMS: e.Duration.Round(time.Millisecond).Milliseconds(),
		RequestSize:    e.RequestBytes, ResponseSize: e.ResponseBytes, UserAgent: textOrNull(e.UserAgent), Reason: e.Reason,
	}
	if e.Address.IsValid() {
		recent.IPAddress = textOrNull(e.Address.String())
	}
	return recent
}

func endpointsOf(endpoints []latchward.EndpointUsage) []EndpointUsage {
	list := make([]EndpointUsage, len(endpoints))
	for i, e := range endpoints {
		list[i] = EndpointUsage{e.Endpoint, e.Method, e.Requests, e.AverageMilliseconds()}
	}
	return list
}

func (h *handler) usageOverview(ctx context.Context, in request[DaysQuery, none]) (UsageOverview, error) {
	o, err := h.service.UsageOverview(ctx, in.Query.days())
	if err != nil {
		return UsageOverview{}, err
	}
	total := totalsOf(&o.Total)
	reply := UsageOverview{
		Overview: OverviewTotals{
			o.ActiveTokens, total.TotalRequests, total.AverageResponseTime, total.SuccessfulRequests, total.FailedRequests,
		},
		TopTokens: make([]RankedToken, len(o.TopTokens)), TopEndpoints: endpointsOf(o.TopEndpoints), JWT: totalsOf(&o.JWT),
	}
	for i, t := range o.TopTokens {
		reply.TopTokens[i] = RankedToken{int64(t.ID), t.Name, t.Requests, t.AverageMilliseconds()}
	}
	return reply, nil
}

func totalsOf(c *latchward.UsageCell) UsageTotals {
	return UsageTotals{c.Requests, c.AverageMilliseconds(), c.Requests - c.Failed, c.Failed}
}
