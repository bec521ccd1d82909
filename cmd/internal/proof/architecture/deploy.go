package architecture

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// Names in deploy and the README: metrics in alerts and on the dashboard, settings in environments and in prose.
var (
	metric       = regexp.MustCompile(`\btillstream_[a-z_]+`)
	metricSuffix = regexp.MustCompile(`_(bucket|count|sum)$`)
	settingNamed = regexp.MustCompile("`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`") // in prose
	setting      = regexp.MustCompile(`(?m)(?:^|[{,]|name:)[ \t]*([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?::[ \t]|=|,)`)
)

// Definitions of settings: in programs, and in the broker's configuration.
var (
	settingOfPrograms = regexp.MustCompile(`(?:env:|Getenv\()"([A-Z0-9_]+)"`)
	settingOfBroker   = regexp.MustCompile(`\$([A-Z0-9_]+)`)
)

// deployNamesWhatExists finds metrics and settings that no program has: an alert on a renamed metric never fires, and a renamed
// setting is not read.
func deployNamesWhatExists(t Tree) []string {
	exists := map[string]bool{}
	for _, text := range t.Texts {
		switch {
		case path.Ext(text.Path) == ".go" && !strings.HasSuffix(text.Path, "_test.go"):
			addAll(exists, metric.FindAllString(string(text.Content), -1))
			addAll(exists, captured(settingOfPrograms, text.Content))
		case text.Path == "deploy/nats.conf":
			addAll(exists, captured(settingOfBroker, text.Content))
		}
	}
	var wrong []string
	for _, text := range t.Texts {
		if !strings.HasPrefix(text.Path, "deploy/") && text.Path != "README.md" {
			continue
		}
		var names []string
		for _, name := range metric.FindAllString(string(text.Content), -1) {
			names = append(names, metricSuffix.ReplaceAllString(name, ""))
		}
		switch path.Ext(text.Path) {
		case ".yaml", ".env":
			names = append(names, captured(setting, text.Content)...)
		case ".md":
			names = append(names, captured(settingNamed, text.Content)...)
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if !exists[name] {
				wrong = append(wrong, text.Path+": names "+name+", which no program has")
			}
		}
	}
	return wrong
}

func addAll(names map[string]bool, found []string) {
	for _, name := range found {
		names[name] = true
	}
}

func captured(pattern *regexp.Regexp, content []byte) []string {
	var names []string
	for _, match := range pattern.FindAllSubmatch(content, -1) {
		names = append(names, string(match[1]))
	}
	return names
}
