// Package leak finds and hears of secrets where they do not belong: in files and in the history of a repository
// ([Scanner]), and in what GitHub's secret scanning reports ([GitHub]).
package leak
