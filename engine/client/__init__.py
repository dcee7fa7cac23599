"""HTTP out: transfers with other archives, resumably."""
