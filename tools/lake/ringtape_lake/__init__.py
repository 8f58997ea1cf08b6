# SPDX-License-Identifier: Apache-2.0
"""Spark jobs over what ringtape recorded: candles and alerts of the stream, numbers of the day and
the week over the Delta tables. docs/lake.md is about using them."""
