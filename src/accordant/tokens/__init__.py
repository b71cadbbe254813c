"""Records in tokens: templates, token trees and their packing."""
