package inventory

// React lets a test race the reaction itself, without a consumer in front.
var React = react
