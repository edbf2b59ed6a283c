import unittest

from prices import total, with_discount


class Prices(unittest.TestCase):
    def test_total_counts_all_prices(self):
        self.assertEqual(total([100, 250, 5]), 355)

    def test_discount_is_in_percent(self):
        self.assertEqual(with_discount(1000, 15), 850)
        self.assertEqual(with_discount(999, 10), 899)


if __name__ == "__main__":
    unittest.main()
