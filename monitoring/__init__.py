"""Has the world moved, is the model still right, which labels are worth having, is it time to train again?"""
