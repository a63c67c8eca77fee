package config

import (
	"fmt"
	"strings"
)

// didYouMean returns a hint naming the candidate nearest to word, or "" when none is near.
func didYouMean(word string, candidates []string) string {
	switch best := Nearest(word, candidates); {
	case best == "":
		return ""
	case strings.EqualFold(word, best):
		return fmt.Sprintf("keys and values are exact: write %q", best)
	default:
		return fmt.Sprintf("did you mean %q?", best)
	}
}

// Nearest returns the candidate that is most like word, or "" when none is like it.
func Nearest(word string, candidates []string) string {
	// Two letters exchanged are two edits; in a word of three that would be any word.
	near := max(2, len(word)/3)
	if len(word) < 4 {
		near = 1
	}
	best, distance := "", near+1
	for _, c := range candidates {
		if strings.EqualFold(word, c) {
			return c
		}
		// No other distance is worth the time of a word as long as a file.
		if max(len(word)-len(c), len(c)-len(word)) > near {
			continue
		}
		if d := editDistance(word, c); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions and replacements that make a into b (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
