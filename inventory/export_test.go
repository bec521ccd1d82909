package inventory

// React lets a test race the reaction itself, without a lane in front.
var React = react
