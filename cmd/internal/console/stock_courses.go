package console

import (
	"context"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"tillstream/events/replay"
)

// courses keeps the courses of the SKUs whose charts were shown last, so that a chart reads only the movements since it was last
// shown. The first chart of a SKU with 100,000 movements takes one or two seconds, the next ones some milliseconds.
type courses struct {
	kept *lru.Cache[string, *keptCourse]
}

// keptCourse is a course, which the holder of the token may use.
type keptCourse struct {
	token  chan struct{}
	course *replay.StockCourse
}

// maxCourses is how many courses are kept, of about 60 KB each; maxReading bounds the time to read a ledger.
const (
	maxCourses = 200
	maxReading = 2 * time.Minute
)

func newCourses() (*courses, error) {
	kept, err := lru.New[string, *keptCourse](maxCourses)
	if err != nil {
		return nil, fmt.Errorf("courses of stock: %w", err)
	}
	return &courses{kept: kept}, nil
}

// of calls draw with the present course of a SKU, which draw must not keep. It returns false when the course is not read in time:
// reading continues, and a later call has it.
func (c *courses) of(ctx context.Context, reader *replay.Reader, sku string, draw func(*replay.StockCourse)) (drawn bool, err error) {
	k := c.keep(sku)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-k.token:
	case <-timer.C:
		return false, nil
	}
	read := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxReading)
		defer cancel()
		read <- reader.ExtendCourse(ctx, sku, k.course)
	}()
	select {
	case err := <-read:
		defer func() { k.token <- struct{}{} }()
		if err == nil {
			draw(k.course)
		}
		return err == nil, err
	case <-timer.C:
		go func() {
			<-read //nolint:errcheck // after an error the next request reads again
			k.token <- struct{}{}
		}()
		return false, nil
	}
}

// keep returns the kept course of a SKU.
func (c *courses) keep(sku string) *keptCourse {
	k := &keptCourse{token: make(chan struct{}, 1), course: replay.NewStockCourse(chartPoints)}
	k.token <- struct{}{}
	if other, exists, _ := c.kept.PeekOrAdd(sku, k); exists {
		c.kept.Get(sku) // it was used last
		return other
	}
	return k
}
