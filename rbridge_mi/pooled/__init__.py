"""m fits as one answer.

===============  ==================================================================
`mermod_list`    `MerModList`, the m fits
`pooled_mermod`  `PooledMerMod`, what they say together
`pooling_fits`   how fits become a pooled model
`nested_models`  D1 to D4
`listwise`       a fit to the rows without holes beside the pooled ones
`printing`       reports as text
===============  ==================================================================
"""
