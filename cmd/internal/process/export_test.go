package process

// Closed tells of a connection that is closed for good.
var Closed = closed
