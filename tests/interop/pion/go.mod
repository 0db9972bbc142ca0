module amphi_pion
