"""m fits, or m sets of any estimates, as one answer.

===================  ==================================================================
`mermod_list`        `MerModList`, the m fits
`pooled_mermod`      `PooledMerMod`, what they say together
`pooling_fits`       how fits become a pooled model
`pooled_estimates`   `PooledEstimates`, what sets of any estimates say together
`pooling_estimates`  `pool`, which makes these
`estimate_sets`      reads sets of estimates, in any form, by name
`result_objects`     what result objects of other libraries say
`matching`           names that all sets have
`nested_models`      D1 to D4
`listwise`           a fit to the rows without holes beside the pooled ones
`printing`           reports as text
`notebook`           pooled estimates in HTML
`methods_text`       a methods section on missing data
`missing_values_text`  its sentences on data and imputation
===================  ==================================================================
"""
