package pieces

import (
	"fmt"
	"testing"
)

// sizes notes how much is written at once.
type sizes []int

func (s *sizes) Write(p []byte) (int, error) {
	*s = append(*s, len(p))
	return len(p), nil
}

func TestWriter(t *testing.T) {
	var got sizes
	n, err := Writer{&got}.Write(make([]byte, 2*Max+1))
	if err != nil || n != 2*Max+1 || fmt.Sprint(got) != fmt.Sprint([]int{Max, Max, 1}) {
		t.Errorf("%d bytes in %v: %v", n, got, err)
	}
}
