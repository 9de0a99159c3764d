"""Which images an epoch shows: each once, or the groups of a class alike."""

import numpy as np

from brain_mri.network.sampling import epoch_order, group_weights


def test_with_equal_weights_an_epoch_shows_each_image_once_in_an_order_of_its_own() -> None:
    orders = [epoch_order(3, epoch, np.ones(20)) for epoch in range(3)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert not np.array_equal(orders[0], orders[1])


def test_groups_of_a_class_count_alike_and_classes_keep_their_share() -> None:
    labels = np.repeat([0, 0, 1], [8, 2, 10])
    groups = np.repeat([0, 1, 1, 2], [8, 2, 4, 6])  # a group of two classes is two groups
    weights = group_weights(labels, groups)
    of_a_group = [weights[(groups == group) & (labels == label)].sum() for group, label in [(0, 0), (1, 0), (1, 1)]]
    np.testing.assert_allclose(of_a_group, 5)


def test_an_image_is_shown_as_often_as_its_weight_and_each_showing_has_a_number() -> None:
    weights = np.array([0.25, 0.25, 0.5, 2.5, 1.5])
    orders = np.stack([epoch_order(1, epoch, weights) for epoch in range(4000)])
    assert orders.shape == (4000, 5)
    assert all(len(set(order)) == 5 for order in orders[:100])  # each showing has a draw of its own
    counts = np.stack([(orders % 5 == place).sum(1) for place in range(5)], 1)
    assert (counts.min(0) == np.floor(weights)).all() and (counts.max(0) == np.ceil(weights)).all()
    np.testing.assert_allclose(counts.mean(0), weights, atol=0.03)
    assert {3, 8, 13} >= set(orders[orders % 5 == 3])
