"""Feedback records, loading and validation, chat rendering, token trees and packing."""
