package inventory

// UpdateReservation is for tests that race reservations without a lane.
var UpdateReservation = updateReservation
