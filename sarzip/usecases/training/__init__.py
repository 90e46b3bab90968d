"""Parts of `sarzip train`: the recipe, what a family must supply, checkpoints. The loop is in
sarzip.usecases.train.
"""
