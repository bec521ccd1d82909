package output

import (
	"strconv"
	"strings"
)

// Number writes a number with commas between thousands, such as 12,345.
func Number[N int | int64 | uint64](n N) string {
	digits := strconv.FormatUint(magnitude(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n < 0 {
		return "-" + digits
	}
	return digits
}

// Count writes how many there are of something, such as "1 order", "2 entries" or "1,200 dead letters". The noun is given
// in the singular; its plural is formed by the regular rules.
func Count[N int | int64 | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Number(n) + " " + plural(noun)
}

func plural(noun string) string {
	switch stem, ok := strings.CutSuffix(noun, "y"); {
	case ok && stem != "" && !strings.ContainsRune("aeiou", rune(stem[len(stem)-1])):
		return stem + "ies"
	case strings.HasSuffix(noun, "s"), strings.HasSuffix(noun, "x"), strings.HasSuffix(noun, "ch"), strings.HasSuffix(noun, "sh"):
		return noun + "es"
	}
	return noun + "s"
}

// magnitude returns the absolute value of a number; unlike -n it has a result for the smallest one.
func magnitude[N int | int64 | uint64](n N) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}
