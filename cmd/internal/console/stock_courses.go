package console

import (
	"context"
	"fmt"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"tillstream/events/replay"
)

// courses keeps the courses of the SKUs whose charts were shown last, so that a chart reads only the movements since it was last
// shown. The first chart of a SKU with 100,000 movements takes about a second, the next ones some milliseconds.
type courses struct {
	kept *lru.Cache[string, *keptCourse]
}

type keptCourse struct {
	mu     sync.Mutex
	course *replay.StockCourse
}

// maxCourses is how many courses are kept, of about 60 KB each.
const maxCourses = 200

func newCourses() (*courses, error) {
	kept, err := lru.New[string, *keptCourse](maxCourses)
	if err != nil {
		return nil, fmt.Errorf("courses of stock: %w", err)
	}
	return &courses{kept: kept}, nil
}

// of calls draw with the present course of a SKU, which draw must not keep.
func (c *courses) of(ctx context.Context, reader *replay.Reader, sku string, draw func(*replay.StockCourse)) error {
	k := &keptCourse{course: replay.NewStockCourse(chartPoints)}
	if other, exists, _ := c.kept.PeekOrAdd(sku, k); exists {
		k = other
	}
	c.kept.Get(sku) // it was used last
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := reader.ExtendCourse(ctx, sku, k.course); err != nil {
		return err
	}
	draw(k.course)
	return nil
}
