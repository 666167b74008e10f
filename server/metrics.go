package server

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/latchward/latchward"
	"github.com/latchward/latchward/journal"
)

// surface is a part of the API listener, as metrics and logs tell them apart.
type surface int

// The surfaces.
const (
	surfaceManagement surface = iota
	surfaceVerify
	surfaceGateway
	surfaceProgram // handlers of a program that this server is part of
	surfaceOAuth
	surfaceSCIM
	surfaces // how many there are
)

func (s surface) String() string {
	return [...]string{"management", "verify", "gateway", "program", "oauth", "scim"}[s]
}

// metrics are what /metrics shows. No label takes a value from a request (bar 99).
type metrics struct {
	registry *prometheus.Registry
	requests [surfaces][6]prometheus.Counter // by first digit of the status; 0 = none was sent
	seconds  [surfaces]prometheus.Observer
}

func newMetrics(s *Server) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "latchward_http_requests_total", Help: "Requests answered, by surface and class of the status.",
	}, []string{"surface", "class"})
	for surface := range surfaces {
		for class := range m.requests[surface] {
			m.requests[surface][class] = requests.WithLabelValues(surface.String(), className(class))
		}
	}
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "latchward_http_request_duration_seconds", Help: "Time from a request's header to the end of its answer, by surface.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"surface"})
	for surface := range surfaces {
		m.seconds[surface] = seconds.WithLabelValues(surface.String())
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "latchward_build_info", Help: "Always 1; the labels tell what is running.",
		ConstLabels: prometheus.Labels{"version": s.config.version(), "go_version": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(requests, seconds, build, serviceCollector{s.service.Stats}, journalCollector{s.journal},
		&inventoryCollector{read: s.service.Inventory, now: time.Now, log: s.log},
		gauge("latchward_ready", "1 while requests are taken.", s.ready.Load),
		gauge("latchward_authentication", "0 when every request is let through.", func() bool { return !s.config.open() }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) count(s surface, status int, took time.Duration) {
	m.seconds[s].Observe(took.Seconds())
	class := status / 100
	if class > 5 {
		class = 0
	}
	m.requests[s][class].Inc()
}

func className(class int) string {
	if class == 0 {
		return "none"
	}
	return strconv.Itoa(class) + "xx"
}

func gauge(name, help string, is func() bool) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
		if is() {
			return 1
		}
		return 0
	})
}

// serviceCollector shows the counts that the service keeps.
type serviceCollector struct{ stats func() latchward.Stats }

var (
	verdictsDesc = prometheus.NewDesc("latchward_verdicts_total", "Verdicts, by reason.", []string{"reason"}, nil)

	counterDescs = []struct {
		desc  *prometheus.Desc
		value func(*latchward.Stats) int64
	}{
		{desc("latchward_undecided_total", "Verifications that ended in an error."),
			func(s *latchward.Stats) int64 { return s.Undecided }},
		{desc("latchward_store_reads_total", "Facts read from the store because they were not remembered."),
			func(s *latchward.Stats) int64 { return s.StoreReads }},
		{desc("latchward_tokens_created_total", "Tokens created."),
			func(s *latchward.Stats) int64 { return s.TokensCreated }},
		{desc("latchward_tokens_failed_total", "Creations of tokens that failed through no fault of the caller's."),
			func(s *latchward.Stats) int64 { return s.TokensFailed }},
		{desc("latchward_tokens_revoked_total", "Tokens revoked."),
			func(s *latchward.Stats) int64 { return s.TokensRevoked }},
		{desc("latchward_denied_total", "Changes refused to principals, which are in the audit log."),
			func(s *latchward.Stats) int64 { return s.Denied }},
		{desc("latchward_anonymous_refusals_total", "Changes refused to nobody in particular."),
			func(s *latchward.Stats) int64 { return s.Anonymous }},
		{desc("latchward_usage_accepted_total", "Usage events taken."),
			func(s *latchward.Stats) int64 { return s.UsageAccepted }},
		{desc("latchward_usage_refused_total", "Usage events not taken, because too many were waiting."),
			func(s *latchward.Stats) int64 { return s.UsageRefused }},
		{desc("latchward_usage_flushed_total", "Usage events handed to the store."),
			func(s *latchward.Stats) int64 { return s.UsageFlushed }},
		{desc("latchward_usage_flush_failures_total", "Attempts to hand usage to the store that failed."),
			func(s *latchward.Stats) int64 { return s.UsageFlushFails }},
	}

	changesDesc = desc("latchward_change_duration_seconds",
		"Time from the begin of a change, such as a revocation, until no verification goes by what was before.")
	rememberedDesc = desc("latchward_remembered_tokens", "Tokens in memory.")
)

func desc(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

// Describe implements prometheus.Collector.
func (c serviceCollector) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, to) }

// Collect implements prometheus.Collector.
func (c serviceCollector) Collect(to chan<- prometheus.Metric) {
	stats := c.stats()
	for reason, n := range stats.Verdicts {
		to <- prometheus.MustNewConstMetric(verdictsDesc, prometheus.CounterValue, float64(n), string(reason))
	}
	for _, counter := range counterDescs {
		to <- prometheus.MustNewConstMetric(counter.desc, prometheus.CounterValue, float64(counter.value(&stats)))
	}
	to <- histogram(changesDesc, stats.Changes)
	to <- prometheus.MustNewConstMetric(rememberedDesc, prometheus.GaugeValue, float64(stats.Remembered))
}

func histogram(desc *prometheus.Desc, d latchward.Delays) prometheus.Metric {
	buckets := map[float64]uint64{}
	for bound, count := range d.AtMost {
		buckets[bound.Seconds()] = uint64(count)
	}
	return prometheus.MustNewConstHistogram(desc, uint64(d.Count), d.Sum.Seconds(), buckets)
}

// journalCollector shows the counts that the journal of usage keeps.
type journalCollector struct{ journal *journal.Journal }

var journalDescs = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*journal.Stats) int64
}{
	{desc("latchward_journal_waiting_bytes", "Bytes of usage on the disk that the database may not have yet."),
		prometheus.GaugeValue, func(s *journal.Stats) int64 { return s.Waiting }},
	{desc("latchward_journal_segments", "Files that they are in."),
		prometheus.GaugeValue, func(s *journal.Stats) int64 { return int64(s.Segments) }},
	{desc("latchward_journal_syncs_total", "Times that usage was brought to the disk."),
		prometheus.CounterValue, func(s *journal.Stats) int64 { return s.Syncs }},
	{desc("latchward_journal_slow_syncs_total", "Times that it took longer than 100 ms."),
		prometheus.CounterValue, func(s *journal.Stats) int64 { return s.Slow }},
	{desc("latchward_journal_failures_total", "Times that it failed; what was accepted waits in memory then."),
		prometheus.CounterValue, func(s *journal.Stats) int64 { return s.Failures }},
	{desc("latchward_journal_damaged_total", "Files of which a part could not be read and is lost."),
		prometheus.CounterValue, func(s *journal.Stats) int64 { return s.Damaged }},
}

// Describe implements prometheus.Collector.
func (journalCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range journalDescs {
		to <- d.desc
	}
}

// Collect implements prometheus.Collector.
func (c journalCollector) Collect(to chan<- prometheus.Metric) {
	stats := c.journal.Stats()
	for _, d := range journalDescs {
		to <- prometheus.MustNewConstMetric(d.desc, d.kind, float64(d.value(&stats)))
	}
}
