package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pace sends requests at their times, each in a goroutine of its own, and counts the time of an answer from when its
// request was due: what one slow answer keeps waiting shows.
func pace(url, tokensFile, rate, duration string) error {
	text, err := os.ReadFile(tokensFile)
	if err != nil {
		return err
	}
	perSecond, err := strconv.Atoi(rate)
	if err != nil {
		return err
	}
	lasts, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	tokens := strings.Fields(string(text))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}}
	taken := make([]time.Duration, int(lasts.Seconds()*float64(perSecond)))
	faults := make([]error, len(taken))
	var requests sync.WaitGroup
	start := time.Now()
	for i := range taken {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
		time.Sleep(time.Until(due))
		requests.Go(func() {
			faults[i] = get(client, url, tokens[i%len(tokens)])
			taken[i] = time.Since(due)
		})
	}
	requests.Wait()
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	taken = taken[len(taken)/5:] // until connections are open and caches are warm
	slices.Sort(taken)
	fmt.Printf("%.3f %.3f\n", milliseconds(taken, 50), milliseconds(taken, 99))
	return nil
}

func milliseconds(sorted []time.Duration, percent int) float64 {
	return float64(sorted[len(sorted)*percent/100]) / float64(time.Millisecond)
}

func get(client *http.Client, url, token string) error {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: status %d", url, response.StatusCode)
	}
	return nil
}
